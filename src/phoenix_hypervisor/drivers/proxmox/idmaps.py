"""Ids of the host that an unprivileged container sees unchanged, as LXC's own lines.

Source: lxc.container.conf(5), `lxc.idmap`; subuid(5).
"""

from collections.abc import Iterator, Sequence

from phoenix_hypervisor.model.desired import IdMap
from phoenix_hypervisor.model.id_maps import BASE

_COUNT = 65_536


def lines(maps: Sequence[IdMap]) -> tuple[tuple[str, str], ...]:
    """The `lxc.idmap` lines: all ids are shifted by `BASE`, but for those in `maps`."""
    if not maps:
        return ()
    found = [
        ("lxc.idmap", f"{letter} {inside} {host} {count}")
        for letter, kind in (("u", "uid"), ("g", "gid"))
        for inside, host, count in _ranges([one for one in maps if one.kind in (kind, "both")])
    ]
    return tuple(found)


def delegate(maps: Sequence[IdMap]) -> str:
    """A script for the node: it adds what `/etc/subuid` and `/etc/subgid` lack to map these."""
    lines = ["set -e"]
    for kind in ("uid", "gid"):
        for one in maps:
            if one.kind in (kind, "both"):
                line = f"root:{one.host_id}:{one.size}"
                file = f"/etc/sub{kind}"
                lines.append(f"grep -qxF {line} {file} 2>/dev/null || echo {line} >>{file}")
    return "\n".join(lines)


def _ranges(maps: Sequence[IdMap]) -> Iterator[tuple[int, int, int]]:
    position = 0
    for one in sorted(maps, key=lambda each: each.container_id):
        if one.container_id > position:
            yield position, BASE + position, one.container_id - position
        yield one.container_id, one.host_id, one.size
        position = one.container_id + one.size
    if position < _COUNT:
        yield position, BASE + position, _COUNT - position
