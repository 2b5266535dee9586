"""A guest's sizes with all defaults filled in: its own, its source's, the files', and ours."""

from dataclasses import dataclass

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.shared import Volume

LXC_MEMORY_MB = 512
LXC_CORES = 1
LXC_DISK_GB = 8
VM_MEMORY_MB = 2048
VM_CORES = 2


@dataclass(frozen=True, slots=True)
class Size:
    """What a guest gets. `disk_gb` None: as large as what it is made of."""

    memory_mb: int
    cores: int
    disk_gb: int | None
    pool: str | None


class Sizes:
    """The sizes of a folder's guests; a clone without own sizes has its source's."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._known: dict[tuple[str, int], Size] = {}

    def of(self, guest: AnyEntry) -> Size:
        """One guest's sizes."""
        chain = [guest]  # the guest, its source, that one's source, …
        seen = {_key(guest)}
        while (source := self._source(chain[-1])) is not None:
            if _key(source) in seen or _key(source) in self._known:
                break
            chain.append(source)
            seen.add(_key(source))
        for entry in reversed(chain):
            if _key(entry) not in self._known:
                self._known[_key(entry)] = self._read(entry)
        return self._known[_key(guest)]

    def volumes(self, guest: AnyEntry) -> list[Volume]:
        """A container's own volumes, of both spellings."""
        words = guest.words
        return [*words.volumes, *words.zfs_volumes] if isinstance(words, Container) else []

    def _read(self, guest: AnyEntry) -> Size:
        words = guest.words
        source = self._source(guest)
        known = self._known.get(_key(source)) if source is not None else None
        base = known or self._default(guest)
        return Size(
            memory_mb=words.memory_mb or base.memory_mb,
            cores=words.cores or base.cores,
            disk_gb=guest.disk_gb or base.disk_gb,
            pool=words.storage_pool or base.pool,
        )

    def _source(self, guest: AnyEntry) -> AnyEntry | None:
        source = None if guest.clone_of is None else self._folder.guest(guest.clone_of)
        return source if source is not None and source.kind == guest.kind else None

    def _default(self, guest: AnyEntry) -> Size:
        if isinstance(guest.words, Container):
            defaults = self._folder.host.proxmox_defaults
            pool = defaults.zfs_lxc_pool
            return Size(
                memory_mb=defaults.lxc.memory_mb or LXC_MEMORY_MB,
                cores=defaults.lxc.cores or LXC_CORES,
                disk_gb=LXC_DISK_GB,
                pool=pool.replace("/", "-") if pool else None,
            )
        given = self._folder.vm.vm_defaults
        return Size(
            memory_mb=given.memory_mb or VM_MEMORY_MB,
            cores=given.cores or VM_CORES,
            disk_gb=given.disk_size_gb,
            pool=given.storage_pool,
        )


def _key(guest: AnyEntry) -> tuple[str, int]:
    return (guest.kind, guest.id)
