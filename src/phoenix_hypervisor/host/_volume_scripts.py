"""What shared volumes need of the host's shell: one script that looks, one that makes."""

import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.host.volumes import SharedFolder
from phoenix_hypervisor.model.id_maps import BASE

MOST = 1000
"""So many entries of a folder are counted."""
_KEPT = "/var/lib/phoenix/volumes"

_LOOK = f"""\
export LC_ALL=C
base() {{ awk -F: '$1 == "root" {{ print $2; exit }}' "/etc/sub$1id" 2>/dev/null; }}
echo "uid_base=$(base u)"
echo "gid_base=$(base g)"
count() {{ ls -A1 -- "$1" 2>/dev/null | head -n {MOST} | wc -l; }}
look() {{
    echo "kept=$(readlink -- "$2")"
    kept=$(readlink -- "$2")
    if [ -n "$kept" ] && [ "$kept" != "$1" ] && [ -d "$kept" ]; then
        echo "old_entries=$(count "$kept")"
    fi
    real=$(readlink -m -- "$1")
    [ "$real" = "$1" ] || echo "leads_to=$real"
    if [ -d "$1" ]; then
        echo "kind=folder"
        echo "owner=$(stat -c %u:%g -- "$1")"
        echo "mode=$(stat -c %a -- "$1")"
        echo "entries=$(count "$1")"
        if command -v getfacl >/dev/null; then
            getfacl -cpn -- "$1" | sed -n 's/^\\(user:[0-9]\\|default:user:[0-9]\\)/acl=\\1/p'
        fi
    elif [ -e "$1" ] || [ -L "$1" ]; then
        echo "kind=other"
    fi
    echo "end"
}}
"""

_MAKE = """\
set -e
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
own=$1 mode=$2 writers=$3 gone=$4 path=$5 link=$6
if [ -n "$writers$gone" ] && ! command -v setfacl >/dev/null; then
    apt-get install -qq -y acl >/dev/null || { echo "setfacl is not here" >&2; exit 1; }
fi
mkdir -p -- "$path"
if [ "$(readlink -m -- "$path")" != "$path" ]; then
    echo "$path leads elsewhere" >&2
    exit 1
fi
for one in $gone; do
    setfacl -x "user:$one" -x "default:user:$one" -- "$path"
done
[ -z "$own" ] || chown -- "$own" "$path"
[ -z "$mode" ] || chmod -- "$mode" "$path"
if [ -n "$writers" ]; then
    # chmod sets the mask of a folder that has an access list, and not its group's own bits.
    set --
    [ -z "$mode" ] || set -- -m "group::$((0$mode / 8 % 8))"
    for one in $writers; do
        set -- "$@" -m "user:$one:rwx" -m "default:user:$one:rwx"
    done
    setfacl "$@" -- "$path"
fi
mkdir -p "${link%/*}"
ln -sfn -- "$path" "$link"
"""


def look(stack: str, folders: Sequence[SharedFolder]) -> str:
    """Looks at all of them."""
    calls = [shlex.join(["look", one.path, _link(stack, one)]) for one in folders]
    return _LOOK + "\n".join(calls) + "\n"


def read(
    out: str, folders: Sequence[SharedFolder]
) -> tuple[dict[Address, dict[str, Json]], dict[str, Json]]:
    """What the look found of each, and the first ids that guests are shifted to."""
    lines = out.splitlines()
    facts: dict[str, Json] = {}
    for line in lines[:2]:
        name, _, value = line.partition("=")
        facts[name] = int(value) if value.isdigit() else BASE
    found: dict[Address, dict[str, Json]] = {}
    rest = iter(lines[2:])
    for folder in folders:
        told: dict[str, str] = {}
        acl: list[str] = []
        for line in rest:
            if line == "end":
                break
            name, _, value = line.partition("=")
            if name == "acl":
                acl.append(value)
            else:
                told[name] = value
        found[folder.address] = _thing(told, acl)
    return found, facts


def make(
    stack: str,
    folder: SharedFolder,
    wanted: Mapping[str, Json],
    there: Mapping[str, Json],
    mode: str,
) -> str:
    """Makes one as it is wanted; `mode` is without what an access list adds, empty: as it is."""
    writers = _ids(wanted)
    gone = [one for one in _ids(there) if one not in writers] if "writers" in wanted else []
    words = [
        str(wanted.get("owner") or ""),
        mode,
        " ".join(writers),
        " ".join(gone),
        folder.path,
        _link(stack, folder),
    ]
    return f"set -- {shlex.join(words)}\n{_MAKE}"


def _ids(thing: Mapping[str, Json]) -> list[str]:
    return str(thing.get("writers") or "").replace(",", " ").split()


def _thing(told: Mapping[str, str], acl: Sequence[str]) -> dict[str, Json]:
    thing: dict[str, Json] = {"path": told.get("kept") or None}
    if "kind" in told:
        thing["kind"] = told["kind"]
    for name in ("owner", "leads_to"):
        if name in told:
            thing[name] = told[name]
    if "mode" in told:
        thing["mode"] = told["mode"].zfill(4)
    for name in ("entries", "old_entries"):
        if name in told:
            thing[name] = int(told[name])
    # One who may write in the folder, and in what others make there.
    access, default = (
        {
            int(one.removeprefix(head).partition(":")[0])
            for one in acl
            if one.startswith(head) and one.split("\t")[0].endswith(":rwx")
        }
        for head in ("user:", "default:user:")
    )
    thing["writers"] = ", ".join(map(str, sorted(access & default))) or None
    return thing


def _link(stack: str, folder: SharedFolder) -> str:
    return f"{_KEPT}/{stack}/{quote(folder.name, safe='')}"
