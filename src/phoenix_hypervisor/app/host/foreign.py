"""Files of the host that Phoenix replaces though somebody else wrote them: told, and kept beside.

A file of Phoenix's alone says so in its first line; one that doesn't is another's.
"""

import shlex
from collections.abc import Sequence

from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError
from phoenix_hypervisor.model.feature import NOTE
from phoenix_hypervisor.model.node import Node

COPY = ".before-phoenix"
_EACH = f"""\
for file in {{}}; do
    [ -s "$file" ] && ! head -n 1 "$file" | grep -q '{NOTE}' || continue
"""
_LOOK = (
    _EACH
    + """\
    echo "$file"
done
"""
)
_KEEP = (
    _EACH
    + f"""\
    ! cmp -s "$file" "$file{COPY}" || continue
    cp -pL --backup=numbered -- "$file" "$file{COPY}" || exit 1
    echo "$file"
done
"""
)


async def look(node: Node, paths: Sequence[str]) -> tuple[str, ...]:
    """Those of the files that are there and another's. Changes nothing."""
    if not paths:
        return ()
    said = await node.run(_LOOK.format(shlex.join(paths)), "which files others wrote")
    if said.status:
        raise PhoenixError(f"which files others wrote can't be seen: {said.err.strip()}")
    return tuple(said.out.splitlines())


async def keep(node: Node, paths: Sequence[str], tell: Tell) -> None:
    """Copies those of the files that are another's, as `look` finds them now, beside themselves.

    An older copy with another content stays, with a number. Raises `ConfigureFailed`.
    """
    if not paths:
        return
    said = await node.run(_KEEP.format(shlex.join(paths)), "copies of files that others wrote")
    if said.status:
        raise ConfigureFailed(
            "a file that others wrote can't be kept, so that it is not replaced",
            detail=(said.out + said.err).strip(),
        )
    for path in said.out.splitlines():
        tell(f"{path} is kept as {path}{COPY}")


def note(path: str) -> str:
    """What a plan says of such a file."""
    return (
        f"{path} was not written by Phoenix: it is replaced as a whole, and a copy is kept in "
        f"{path}{COPY}"
    )
