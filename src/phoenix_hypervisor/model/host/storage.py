"""ZFS pools, datasets, ARC, and the storages of Proxmox VE on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from phoenix_hypervisor.model.address import Address

RaidLevel = Literal["single", "mirror", "raidz1", "raidz2", "raidz3"]
ARC = Address("host/zfs-arc")


@dataclass(frozen=True, slots=True)
class ZfsPool:
    """A pool of whole disks. `mountpoint` None: as ZFS does, `/<name>`."""

    name: str
    level: RaidLevel
    disks: tuple[str, ...]
    mountpoint: str | None = None

    @property
    def address(self) -> Address:
        """`zpool/<name>`."""
        return Address(f"zpool/{self.name}")

    @property
    def root(self) -> str:
        """Where it is mounted when it is new."""
        return self.mountpoint or f"/{self.name}"


@dataclass(frozen=True, slots=True)
class ZfsDataset:
    """A file system in a pool. `properties` as the files write them: `quota` to `800G`."""

    pool: str
    name: str
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Its full name, `pool/name`."""
        return f"{self.pool}/{self.name}"

    @property
    def address(self) -> Address:
        """`dataset/<pool>/<name>`."""
        return Address(f"dataset/{self.path}")


@dataclass(frozen=True, slots=True)
class PveStorage:
    """A storage of Proxmox VE on a dataset. `content` None: nothing is said of it.

    `folder` is where a new dataset will be mounted, for the path of a `dir`.
    """

    id: str
    kind: Literal["zfspool", "dir"]
    dataset: str
    folder: str
    content: tuple[str, ...] | None = None

    @property
    def address(self) -> Address:
        """`storage/<id>`."""
        return Address(f"storage/{self.id}")


@dataclass(frozen=True, slots=True)
class Storage:
    """The host's disks. `arc_max_bytes` None: ZFS's cache is left as it is."""

    pools: tuple[ZfsPool, ...] = ()
    datasets: tuple[ZfsDataset, ...] = ()
    storages: tuple[PveStorage, ...] = ()
    arc_max_bytes: int | None = None
