"""Words of the host's storage: ZFS pools, datasets, and what they are to Proxmox VE."""

from typing import Literal

from pydantic import Field

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import Properties, Text


class ZfsPool(Words):
    """A ZFS pool."""

    name: Text = Field(description="Its name.")
    raid_level: Literal["single", "mirror", "raidz1", "raidz2", "raidz3"] = Field(
        description="`single`, `mirror`, `raidz1`, `raidz2` or `raidz3`."
    )
    disks: list[Text] = Field(description="Its disks, best by `/dev/disk/by-id/…`.", min_length=1)


class ZfsDataset(Words):
    """A ZFS dataset."""

    name: Text = Field(description="Its name in the pool.")
    pool: Text = Field(description="The pool it lies in.")
    properties: Properties | None = Field(
        None, description="Properties, as `compression=lz4,quota=100G`."
    )
    proxmox_storage_type: Literal["zfspool", "dir"] | None = Field(
        None, description="What it is to Proxmox VE: `zfspool` or `dir`."
    )
    proxmox_content_type: Text | None = Field(
        None, description="What it holds, as `images,rootdir`."
    )
    storage_class: Literal["direct", "shared"] | None = Field(
        None, description="`direct` for guests' disks, `shared` for folders of many."
    )


class Zfs(Words):
    """The host's storage."""

    arc_max_gb: float | None = Field(None, gt=0, description="Memory for ZFS's cache in GiB.")
    pools: list[ZfsPool] = Field(default_factory=list, description="Pools.")
    datasets: list[ZfsDataset] = Field(default_factory=list, description="Datasets.")
