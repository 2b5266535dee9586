"""What `zpool` and `zfs` tell, read: pools with their disks, and properties of datasets.

Only what zpool(8) and zfs(8) have had for long is asked, so that every version is understood.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.errors import DriverError
from phoenix_hypervisor.model.node import Node

LOOK_S = 120.0
LONG_S = 600.0
_POOLS = """
command -v zpool >/dev/null || { echo 'zpool and zfs are not installed' >&2; exit 127; }
pools=$(zpool list -H -o name,health) || exit
printf '%s\\n' "$pools" | while IFS='	' read -r name health; do
    [ -n "$health" ] || continue
    printf '@pool %s %s\\n' "$name" "$health"
    zpool status -P "$name" 2>/dev/null || zpool status "$name"
done
"""
_KIND = re.compile(r"(mirror|raidz[123]?|draid\d?)(?:[-:].*)?")
_OTHERS = frozenset({"logs", "cache", "spares", "special", "dedup"})


@dataclass(frozen=True, slots=True)
class Vdev:
    """A top-level part of a pool: `single` or its kind, and the names of its disks."""

    level: str
    disks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LivePool:
    """An imported pool. `others` are disks of logs, caches and spares."""

    name: str
    health: str
    vdevs: tuple[Vdev, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def disks(self) -> tuple[str, ...]:
        """All disks that hold a part of it."""
        return (*(disk for vdev in self.vdevs for disk in vdev.disks), *self.others)

    @property
    def level(self) -> str:
        """As `raid_level` has it, or all kinds that it is made of."""
        kinds = list(dict.fromkeys(vdev.level for vdev in self.vdevs))
        several = len(self.vdevs) > 1 and kinds != ["single"]
        return f"{len(self.vdevs)} of {'/'.join(kinds)}" if several else "/".join(kinds)


@dataclass(frozen=True, slots=True)
class Live:
    """What ZFS is on this node. `failed` is why nothing can be told."""

    pools: Mapping[str, LivePool]
    failed: str = ""


async def pools(node: Node) -> Live:
    """The imported pools, with their disks."""
    said = await node.run(_POOLS, "looks at ZFS pools", timeout_s=LOOK_S)
    if said.status:
        return Live({}, " ".join(said.err.split()) or f"zpool list ended with {said.status}")
    return Live({pool.name: pool for pool in _parse(said.out)})


def _parse(text: str) -> Iterable[LivePool]:
    for block in text.split("@pool ")[1:]:
        head, _, rest = block.partition("\n")
        name, _, health = head.rpartition(" ")
        yield _pool(name, health.strip(), rest)


def _pool(name: str, health: str, status: str) -> LivePool:
    """The tree under `config:`, whose depth is told by blanks."""
    vdevs, others = list[Vdev](), list[str]()
    inside, main = False, True
    for line in status.splitlines():
        words = line.split()
        if words[:2] == ["NAME", "STATE"]:
            inside = True
        elif not inside or not words:
            continue
        elif line.startswith("errors:"):
            break
        elif words[0] in _OTHERS:
            main = False
        elif words[0] != name or line.lstrip("\t").startswith(" "):
            depth = len(line.lstrip("\t")) - len(line.strip("\t").lstrip(" "))
            _add(vdevs, others, words[0], depth, main=main)
    return LivePool(name, health, tuple(vdevs), tuple(others))


def _add(vdevs: list[Vdev], others: list[str], word: str, depth: int, *, main: bool) -> None:
    kind = _KIND.fullmatch(word)
    if kind and main:
        level = "raidz1" if kind[1] == "raidz" else kind[1]
        vdevs.append(Vdev(level, ()))
    elif kind or word.startswith(("replacing", "spare-")):
        return
    elif not main:
        others.append(word)
    elif depth > 2 and vdevs:  # noqa: PLR2004 - two blanks for each level of the tree
        last = vdevs[-1]
        vdevs[-1] = Vdev(last.level, (*last.disks, word))
    else:
        vdevs.append(Vdev("single", (word,)))


async def properties(node: Node, datasets: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """All properties of each of these that is there, with exact numbers."""
    lines = [
        f"zfs get -Hp -o name,property,value all {shlex.quote(one)} 2>/dev/null" for one in datasets
    ]
    if not lines:
        return {}
    script = "\n".join([*lines, "true"])
    said = await node.run(script, "looks at ZFS datasets", timeout_s=LOOK_S)
    found: dict[str, dict[str, str]] = {}
    for line in said.out.splitlines():
        name, _, rest = line.partition("\t")
        key, _, value = rest.partition("\t")
        found.setdefault(name, {})[key] = value
    return found


def done(said: Said, what: str) -> None:
    """Raises `DriverError` with the tool's own words where it failed."""
    if said.status:
        raise DriverError(f"{what}: {' '.join(said.err.split()) or f'status {said.status}'}")
