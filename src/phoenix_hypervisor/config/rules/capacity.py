"""Sizes against what the host has, where the files say what that is."""

from collections.abc import Callable, Iterator, Sequence

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.replicas import addresses
from phoenix_hypervisor.config.sizes import Sizes
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Cores of one guest, memory and storage of all of them, beyond the host's."""
    capacity = folder.host.hypervisor.capacity
    sizes = Sizes(folder)
    if capacity.cores is not None:
        yield from _cores(folder, sizes, capacity.cores)
    if capacity.memory_mb is not None:
        yield from _memory(folder, sizes, capacity.memory_mb)
    if capacity.storage_gb is not None:
        yield from _storage(folder, sizes, capacity.storage_gb)


def _cores(folder: Folder, sizes: Sizes, most: int) -> Iterator[Problem]:
    for guest in folder.guests:
        cores = sizes.of(guest).cores
        if cores > most:
            message = f"{guest.label} wants {cores} cores, but the host has {most}"
            yield guest.spot.error(("cores",), message, f"write {most} or less")


def _memory(folder: Folder, sizes: Sizes, most: int) -> Iterator[Problem]:
    def memory(guest: AnyEntry) -> int:
        return sizes.of(guest).memory_mb * len(addresses(guest))

    over, total = _beyond(folder.machines, memory, most)
    if over is not None:
        message = f"virtual machines want {total} MiB of memory in sum, but the host has {most}"
        hint = "a virtual machine's memory is taken whole: make some smaller"
        yield over.spot.error(("memory_mb",), message, hint)
        return
    over, total = _beyond(folder.guests, memory, most)
    if over is not None:
        message = f"all guests may use {total} MiB of memory in sum, but the host has {most}"
        hint = "a container's memory is a limit: this works until they all use it"
        yield over.spot.warning(("memory_mb",), message, hint)


def _storage(folder: Folder, sizes: Sizes, most: int) -> Iterator[Problem]:
    def disks(guest: AnyEntry) -> int:
        volumes = sum(volume.size_gb or 0 for volume in sizes.volumes(guest))
        return ((sizes.of(guest).disk_gb or 0) + volumes) * len(addresses(guest))

    over, total = _beyond(folder.guests, disks, most)
    if over is not None:
        message = f"disks and volumes take {total} GiB in sum, but the host has {most}"
        yield over.spot.error((over.disk_word,), message, "make some smaller")


def _beyond(
    guests: Sequence[AnyEntry], size: Callable[[AnyEntry], int], most: int
) -> tuple[AnyEntry | None, int]:
    """The first guest with which the sum is beyond `most`, and the sum of all."""
    total = 0
    over: AnyEntry | None = None
    for guest in guests:
        total += size(guest)
        if total > most and over is None:
            over = guest
    return over, total
