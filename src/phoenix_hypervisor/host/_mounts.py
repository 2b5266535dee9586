"""Where datasets are mounted, and folders that are not empty: what is in them would be hidden."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from phoenix_hypervisor.host._zfs import LOOK_S, done
from phoenix_hypervisor.model.host.storage import Storage
from phoenix_hypervisor.model.node import Node

_ON = "on"


@dataclass(frozen=True, slots=True)
class Mount:
    """What ZFS tells of a dataset: `mountpoint` as it is, inherited or not, and `canmount`."""

    mountpoint: str
    canmount: str = _ON

    @property
    def folder(self) -> str | None:
        """Where ZFS mounts it by itself; None: nowhere."""
        return self.mountpoint if self.mountpoint.startswith("/") and self.canmount == _ON else None


async def look(node: Node, pools: Iterable[str]) -> Mapping[str, Mount]:
    """All file systems of these pools, by their names."""
    asked = sorted(set(pools))
    if not asked:
        return {}
    words = ["zfs", "list", "-H", "-r", "-t", "filesystem", "-o", "name,mountpoint,canmount"]
    said = await node.run(shlex.join([*words, *asked]), "looks at ZFS datasets", timeout_s=LOOK_S)
    done(said, "zfs list failed")
    rows = (line.split("\t") for line in said.out.splitlines())
    return {name: Mount(mountpoint, canmount) for name, mountpoint, canmount in rows}


async def full(node: Node, folders: Iterable[str]) -> frozenset[str]:
    """Those of these paths that hold something, or are no folder."""
    asked = sorted(set(folders))
    lines = [
        f'if [ -d {one} ]; then [ -z "$(ls -A {one} | head -n 1)" ]; else [ ! -e {one} ]; fi'
        f" || echo {number}"
        for number, one in enumerate(map(shlex.quote, asked))
    ]
    if not lines:
        return frozenset()
    said = await node.run("\n".join([*lines, "true"]), "looks at folders", timeout_s=LOOK_S)
    return frozenset(asked[int(number)] for number in said.out.split())


def after(storage: Storage, live: Mapping[str, Mount]) -> Mapping[str, Mount]:
    """All datasets as they are mounted when the files are applied; pools come as they are made.

    Also those that `zfs create -p` makes above one of the files, and those that move along.
    """
    wanted = {one.path: one.properties for one in storage.datasets}
    pools = {one.pool for one in storage.datasets}
    roots = {one.name: one.root for one in storage.pools}
    found = {name: live.get(name) or Mount(roots.get(name, f"/{name}")) for name in pools}
    for path in sorted({above for one in (*wanted, *live) for above in _with_above(one)}):
        parent, _, name = path.rpartition("/")
        if parent and parent in found:
            now, said = live.get(path), wanted.get(path, {})
            inherited = _below(found[parent].mountpoint, name)
            if now and (old := live.get(parent)) and now.mountpoint != _below(old.mountpoint, name):
                inherited = now.mountpoint  # its own
            can = said.get("canmount", now.canmount if now else _ON)
            found[path] = Mount(said.get("mountpoint", inherited), can)
    return found


def moved(storage: Storage, live: Mapping[str, Mount]) -> Mapping[str, str]:
    """Datasets that will be mounted where they are not now, each with that folder."""
    found = dict[str, str]()
    for path, mount in after(storage, live).items():
        now = live[path].folder if path in live else None
        if "/" in path and mount.folder is not None and mount.folder != now:
            found[path] = mount.folder
    return found


def _with_above(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))


def _below(mountpoint: str, name: str) -> str:
    """As a dataset inherits it; `none` and `legacy` are inherited as they are."""
    return f"{mountpoint.rstrip('/')}/{name}" if mountpoint.startswith("/") else mountpoint
