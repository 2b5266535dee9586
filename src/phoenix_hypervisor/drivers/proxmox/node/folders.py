"""Folders of a node that guests share: made where they are missing, with the right owner.

An unprivileged container sees its user 0 as the host's user 100000 (or what /etc/subuid says for
root), so a folder for it belongs to shifted ids. Source: pct.conf(5), subuid(5).
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.errors import ConfigError, DriverError

_FIRST_SHIFTED = 100000
_TOP_LEVEL = 2

_SCRIPT = """\
shift_u=$(awk -F: '$1 == "root" { print $2; exit }' /etc/subuid 2>/dev/null)
shift_g=$(awk -F: '$1 == "root" { print $2; exit }' /etc/subgid 2>/dev/null)
: "${shift_u:=%(first)d}" "${shift_g:=%(first)d}"
own() { # PATH SHIFTED UID GID: what of the owner was asked for, in the host's ids
    u=$3 g=$4
    if [ "$2" = 1 ]; then
        [ -z "$u" ] || u=$((u + shift_u))
        [ -z "$g" ] || g=$((g + shift_g))
    fi
}
make() {
    own "$@"
    real=$(readlink -m -- "$1")
    if [ "$real" != "$1" ]; then # a guest may have made the link: root must not follow it
        echo "$1 leads to $real: name that" >&2
        exit 1
    fi
    if [ -d "$1" ]; then
        has=$(stat -L -c '%%u %%g' "$1") || exit 1
        want="${u:-${has%% *}} ${g:-${has#* }}"
        if [ "$has" = "$want" ]; then echo "there"; return; fi
        chown "${want%% *}:${want#* }" "$1" || exit 1
        echo "owner ${want%% *}:${want#* }"
    elif [ -e "$1" ] || [ -L "$1" ]; then
        echo "$1 is there and is no folder" >&2
        exit 1
    else
        mkdir -p "$1" || exit 1
        if [ "$2" = 1 ]; then : "${u:=$shift_u}" "${g:=$shift_g}"; else : "${u:=0}" "${g:=0}"; fi
        chown "$u:$g" "$1" || exit 1
        echo "made $u:$g"
    fi
}
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the node. `uid` and `gid` are as its guest sees them; None: not asked for.

    `shifted`: for unprivileged guests. A folder without an owner asked for is made for user 0 of
    the guest; one that is there then keeps the owner that it has.
    """

    path: str
    uid: int | None = None
    gid: int | None = None
    shifted: bool = True


async def ensure(channel: Channel, folders: Sequence[Folder]) -> list[str]:
    """Makes what is missing; gives a line for each folder that was made or given to somebody.

    Raises `ConfigError` for a path that is none, `DriverError` where it can't be made.
    """
    for folder in folders:
        _check(folder.path)
    wanted = list(dict.fromkeys(replace(f, path=str(PurePosixPath(f.path))) for f in folders))
    if not wanted:
        return []
    calls = [
        shlex.join(["make", each.path, str(int(each.shifted)), _text(each.uid), _text(each.gid)])
        for each in wanted
    ]
    script = _SCRIPT % {"first": _FIRST_SHIFTED} + "\n".join(calls) + "\n"
    answer = await channel.run(script, "folders shared with guests")
    said = answer.said()
    if not answer.ok:
        raise DriverError(
            f"a folder on {channel.node} can't be made: {said.err.strip()}",
            hint="mount_points and shared_volumes name folders of the node",
        )
    told = []
    for folder, line in zip(wanted, said.out.splitlines(), strict=True):
        did, _, owner = line.partition(" ")
        if did == "made":
            told.append(f"made {folder.path} with the owner {owner}")
        elif did == "owner":
            told.append(f"gave {folder.path} to {owner}")
    return told


def _check(path: str) -> None:
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or len(pure.parts) < _TOP_LEVEL or "\n" in path:
        raise ConfigError(f"a shared folder is an absolute path without “..”, not “{path}”")


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
