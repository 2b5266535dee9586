"""ZFS pools, datasets, ARC, and the storages of Proxmox VE on them, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.host_storage import ZfsDataset as DatasetWords
from phoenix_hypervisor.model.host.storage import PveStorage, Storage, ZfsDataset, ZfsPool

_GIB = 2**30


def storage(folder: Folder) -> Storage:
    """What the hypervisor file says of it."""
    words, base = folder.host.zfs, (folder.host.mount_point_base or "").rstrip("/")
    pools = tuple(
        ZfsPool(
            pool.name,
            pool.raid_level,
            tuple(pool.disks),
            f"{base}/{pool.name}" if base else None,
        )
        for pool in words.pools
    )
    roots = {pool.name: pool.root for pool in pools}
    # A dataset is made before those that lie in it.
    sets = sorted(words.datasets, key=lambda one: one.name.count("/"))
    datasets = tuple(
        ZfsDataset(one.pool, one.name, properties(one.properties or "")) for one in sets
    )
    return Storage(
        pools=pools,
        datasets=datasets,
        storages=tuple(
            _storage(one, roots.get(one.pool, f"/{one.pool}"))
            for one in words.datasets
            if one.proxmox_storage_type is not None
        ),
        arc_max_bytes=None if words.arc_max_gb is None else int(words.arc_max_gb * _GIB),
    )


def properties(text: str) -> dict[str, str]:
    """`a=b,c=d` as a map; a folder without a slash at its end, as ZFS tells it."""
    pairs = (each.partition("=") for each in text.split(",") if each.strip())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if len(folder := found.get("mountpoint", "")) > 1:
        found["mountpoint"] = folder.rstrip("/")
    return found


def storage_id(words: DatasetWords) -> str:
    """A dataset's storage is named `pool-dataset`."""
    return f"{words.pool}-{words.name}".replace("/", "-")


def _storage(words: DatasetWords, root: str) -> PveStorage:
    own = properties(words.properties or "").get("mountpoint")
    content = words.proxmox_content_type
    return PveStorage(
        id=storage_id(words),
        kind="dir" if words.proxmox_storage_type == "dir" else "zfspool",
        dataset=f"{words.pool}/{words.name}",
        folder=own or f"{root}/{words.name}",
        content=None
        if content is None
        else tuple(sorted({each.strip() for each in content.split(",")})),
    )
