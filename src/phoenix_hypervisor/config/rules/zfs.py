"""ZFS pools and datasets that could never be: too few disks, one disk twice, a fixed property."""

from collections.abc import Iterator
from difflib import get_close_matches

from phoenix_hypervisor.config.desire.hosts.storage import properties, storage_id
from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder, Spot
from phoenix_hypervisor.config.words.host_storage import ZfsDataset
from phoenix_hypervisor.model.host.zfs_values import KNOWN, READ_ONLY, is_limit, is_size, normal
from phoenix_hypervisor.model.problem import Problem

_FEWEST = {"single": 1, "mirror": 2, "raidz1": 2, "raidz2": 3, "raidz3": 4}
_RECORD = (2**9, 2**24)
_OF_POOL = {"zfspool": ("images", "rootdir", "none")}
_BY_NAME = ("/dev/disk/", "/dev/mapper/", "/dev/md/")


def find(folder: Folder) -> Iterator[Problem]:
    """What ZFS or Proxmox VE would refuse, and disks by names that move."""
    spot = folder.spot(HYPERVISOR)
    yield from _pools(folder, spot)
    yield from _datasets(folder, spot)


def _pools(folder: Folder, spot: Spot) -> Iterator[Problem]:
    names: dict[str, Pointer] = {}
    disks: dict[str, Pointer] = {}
    for at, pool in enumerate(folder.host.zfs.pools):
        place: Pointer = ("zfs", "pools", at)
        if pool.name in names:
            line = spot.line(names[pool.name])
            message = f"duplicate pool `{pool.name}` (line {line})"
            yield spot.error((*place, "name"), message, "each has a name of its own")
        names.setdefault(pool.name, (*place, "name"))
        if len(pool.disks) < _FEWEST[pool.raid_level]:
            message = f"a {pool.raid_level} of {len(pool.disks)} can't be"
            hint = f"it needs at least {_FEWEST[pool.raid_level]} disks"
            yield spot.error((*place, "disks"), message, hint)
        elif pool.raid_level == "single" and len(pool.disks) > 1:
            message = f"with any one of these {len(pool.disks)} disks all data of the pool is lost"
            hint = "`single` joins them without redundancy; `mirror` or `raidz1` keeps the data"
            yield spot.warning((*place, "disks"), message, hint)
        for index, disk in enumerate(pool.disks):
            here = (*place, "disks", index)
            if disk in disks:
                line = spot.line(disks[disk])
                message = f"the disk {disk} stands here twice (line {line})"
                yield spot.error(here, message, "a disk is in one pool, once")
            disks.setdefault(disk, here)
            if disk.startswith("/dev/") and not disk.startswith(_BY_NAME):
                message = f"{disk} may be another disk after the next start"
                yield spot.warning(here, message, "`ls -l /dev/disk/by-id` shows lasting names")


def _datasets(folder: Folder, spot: Spot) -> Iterator[Problem]:
    names: dict[str, Pointer] = {}
    for at, dataset in enumerate(folder.host.zfs.datasets):
        place: Pointer = ("zfs", "datasets", at)
        known = storage_id(dataset)  # `a/b` and `a-b` would be one storage
        if known in names:
            line = spot.line(names[known])
            message = f"duplicate dataset `{dataset.pool}/{dataset.name}` (line {line})"
            hint = f"each has a name of its own, and so has its storage, {known}"
            yield spot.error((*place, "name"), message, hint)
        names.setdefault(known, (*place, "name"))
        for message, hint in _properties(dataset):
            yield spot.error((*place, "properties"), message, hint)
        for name in properties(dataset.properties or ""):
            if ":" not in name and "@" not in name and name not in KNOWN | READ_ONLY:
                near = get_close_matches(name, sorted(KNOWN), 1)
                hint = f"did you mean `{near[0]}`?" if near else "zfsprops(7) lists them"
                message = f"`{name}` is no property that is known here: ZFS may refuse it"
                yield spot.warning((*place, "properties"), message, hint)
        kind, content = dataset.proxmox_storage_type, dataset.proxmox_content_type
        if content is not None and kind is None:
            message = "without `proxmox_storage_type` it is no storage, and holds nothing"
            yield spot.warning((*place, "proxmox_content_type"), message, "`zfspool` or `dir`")
        takes = _OF_POOL.get(kind or "")
        wrong = [one.strip() for one in (content or "").split(",") if takes]
        wrong = [one for one in wrong if one and takes and one not in takes]
        if wrong:
            message = f"a zfspool can't hold {', '.join(wrong)}: Proxmox VE will refuse it"
            hint = "it holds `images` and `rootdir`; a `dir` holds files"
            yield spot.warning((*place, "proxmox_content_type"), message, hint)


def _is_record(size: int) -> bool:
    return _RECORD[0] <= size <= _RECORD[1] and size.bit_count() == 1


def _properties(dataset: ZfsDataset) -> Iterator[tuple[str, str]]:
    text = dataset.properties or ""
    found = properties(text)
    names = [each.partition("=")[0].strip() for each in text.split(",")]
    for name in sorted({one for one in names if names.count(one) > 1}):
        yield f"`{name}` stands here twice", "which one is meant is not to be known"
    for name, value in found.items():
        if name in READ_ONLY:
            yield f"`{name}` can't be set for a file system", "zfsprops(7) lists what can"
        elif is_size(name) and not normal(name, value).isdigit():
            hint = "a number with K, M, G or T" + (", or none" if is_limit(name) else "")
            yield f"`{value}` is no size for `{name}`", hint
        elif name == "recordsize" and not _is_record(int(normal(name, value))):
            yield f"`{value}` is no recordsize", "a power of two, from 512 to 16M"
        elif name == "keylocation" and value == "prompt":
            yield "nobody is there to be asked for the key", "keylocation=file:///…"
