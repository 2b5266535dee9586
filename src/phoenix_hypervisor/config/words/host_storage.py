"""Words of the host's storage: ZFS pools, datasets, and what they are to Proxmox VE."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from phoenix_hypervisor.config.words.base import Note, Words, wrong
from phoenix_hypervisor.config.words.values import Properties, Text, shaped

CONTENTS = ("backup", "images", "import", "iso", "none", "rootdir", "snippets", "vztmpl")
"""What a storage of Proxmox VE may hold (pve-storage, `content`)."""


def _contents(text: str) -> str:
    for one in text.split(","):
        if one.strip() not in CONTENTS:
            message = f"`{one.strip()}` is nothing that a storage of Proxmox VE holds"
            raise wrong(message, f"some of: {', '.join(CONTENTS)}")
    return text


Contents = Annotated[str, AfterValidator(_contents)]
PoolName = Annotated[
    str,
    shaped(
        r"(?!(mirror|raidz|draid|spare|log|c[0-9]))[A-Za-z][A-Za-z0-9_.:-]{0,199}",
        "the name of a ZFS pool",
        "a letter first, then letters, digits and _ . : -; not mirror…, raidz…, spare…, log…, c0…",
    ),
]
DatasetName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9][A-Za-z0-9_.:-]*(/[A-Za-z0-9][A-Za-z0-9_.:-]*)*",
        "the name of a ZFS dataset",
        "letters, digits and _ . : -, with / between a dataset and one in it, without the pool",
    ),
]


class ZfsPool(Words):
    """A ZFS pool."""

    name: PoolName = Field(description="Its name.")
    raid_level: Literal["single", "mirror", "raidz1", "raidz2", "raidz3"] = Field(
        description="`single`, `mirror`, `raidz1`, `raidz2` or `raidz3`."
    )
    disks: list[Text] = Field(description="Its disks, best by `/dev/disk/by-id/…`.", min_length=1)


class ZfsDataset(Words):
    """A ZFS dataset."""

    name: DatasetName = Field(description="Its name in the pool.")
    pool: PoolName = Field(description="The pool it lies in.")
    properties: Properties | None = Field(
        None, description="Properties, as `compression=lz4,quota=100G`."
    )
    proxmox_storage_type: Literal["zfspool", "dir"] | None = Field(
        None,
        description="What it is to Proxmox VE: `zfspool` or `dir`; the storage is named "
        "`<pool>-<name>`. Where missing, it is no storage.",
    )
    proxmox_content_type: Contents | None = Field(
        None, description="What the storage holds, as `images,rootdir`."
    )
    storage_class: Annotated[Literal["direct", "shared"] | None, Note()] = Field(
        None, description="`direct` for guests' disks, `shared` for folders of many: a remark."
    )


class Zfs(Words):
    """The host's storage."""

    arc_max_gb: float | None = Field(
        None, ge=0.0625, description="Memory for ZFS's cache in GiB, at least 0.0625."
    )
    pools: list[ZfsPool] = Field(
        default_factory=list, description="Pools. They are only made on disks that are empty."
    )
    datasets: list[ZfsDataset] = Field(default_factory=list, description="Datasets.")
