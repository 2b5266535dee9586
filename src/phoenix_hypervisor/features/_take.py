"""Taking a new configuration with the way back kept: all of it works, or the old one stays.

New files are written beside the old ones as `<path>.new`. One script then puts files and links in
place, asks the software whether it can live with them, and puts the old ones back where it can't.
It is one script, so that it comes to its end even where Phoenix is interrupted; where the guest
itself went away in between, a marker makes the next run do it again.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from phoenix_hypervisor.model.staging import NEW

MARKERS = "/var/lib/phoenix/taking"
_LOOK = "{{ sha256sum < {0} && stat -L -c '%a %U:%G' -- {0}; }} 2>/dev/null || true"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as it is to be."""

    path: str
    text: str = field(repr=False)
    mode: str = "644"
    user: str = "root"
    group: str = "root"


def differing(files: Sequence[NewFile]) -> list[NewFile]:
    """Those files that the guest has not, or with another content, mode or owner. Asks for
    checksums, not for contents: some hold secrets. Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    return [
        file
        for file in files
        if _system.ask(_LOOK.format(shlex.quote(file.path))).split()
        != [
            hashlib.sha256(file.text.encode()).hexdigest(),
            *("-", file.mode, f"{file.user}:{file.group}"),
        ]
    ]


def take(
    what: str,
    files: Sequence[NewFile],
    *,
    links: Mapping[str, str] | None = None,
    accept: str,
    undo: str = ":",
    force: bool = False,
) -> bool:
    """Makes files and links (path to target) so, if `accept` succeeds with them in place.

    `accept` and `undo` are POSIX shell; `accept` runs with `set -e`, and `undo` runs after the old
    ones are back. Returns whether anything was done: nothing, where all is so already and `force`
    isn't set. Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    changed = differing(files)
    wanted = dict(links or {})
    moved = {
        path: target
        for path, target in wanted.items()
        if _system.ask(f"readlink {shlex.quote(path)} 2>/dev/null || true") != target
    }
    marker = f"{MARKERS}/{what}"
    broken_off = _system.ask(f"test -e {shlex.quote(marker)} && echo yes || true") == "yes"
    if not (changed or moved or broken_off or force):
        return False
    for file in changed:
        _system.text_file(
            f"{file.path}{NEW}", file.text, mode=file.mode, user=file.user, group=file.group
        )
    _system.run(
        f"Test and take {what}",
        script(what, [file.path for file in changed], moved, accept, undo),
    )
    return True


def script(
    what: str, paths: Sequence[str], links: Mapping[str, str], accept: str, undo: str
) -> str:
    """The shell script that `take` runs."""
    marker = shlex.quote(f"{MARKERS}/{what}")
    places = " ".join(shlex.quote(path) for path in (*paths, *links))
    forward = [f"mv {shlex.quote(path + NEW)} {shlex.quote(path)}" for path in paths]
    forward += [
        f"ln -sfn {shlex.quote(target)} {shlex.quote(path + NEW)}"
        f" && mv -T {shlex.quote(path + NEW)} {shlex.quote(path)}"
        for path, target in links.items()
    ]
    here = "\n".join(forward)
    return f"""
cd /
mkdir -p {shlex.quote(MARKERS)}
touch {marker}
for place in {places}; do
    rm -f "$place.old"
    if [ -e "$place" ] || [ -L "$place" ]; then cp -a "$place" "$place.old"; fi
done
{here}
said=$(mktemp)
(
set -e
{accept}
) > "$said" 2>&1
if [ $? -ne 0 ]; then
    for place in {places}; do
        if [ -e "$place.old" ] || [ -L "$place.old" ]; then mv -T "$place.old" "$place"
        else rm -f "$place"; fi
    done
    (
    {undo}
    ) > /dev/null 2>&1
    rm -f {marker}
    echo {shlex.quote(f"The new {what} was refused; the old one is back.")} >&2
    cat "$said" >&2
    rm -f "$said"
    exit 1
fi
for place in {places}; do rm -f "$place.old"; done
rm -f {marker} "$said"
"""
