"""Guests that others wait for: they exist, and they run."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.replicas import id_range
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Dependencies that aren't there, stand twice, or never run."""
    for guest in folder.guests:
        seen: set[int] = set()
        for index, wanted in enumerate(guest.words.dependencies):
            place = ("dependencies", index)
            other = folder.guest(wanted)
            if wanted in seen:
                message = f"{guest.label} names its dependency {wanted} twice"
                yield guest.spot.warning(place, message, "remove one of them")
            elif other is None and folder.knows_all_guests:
                yield _absent(folder, guest, index, wanted)
            elif other is not None and other.rests:
                message = f"{guest.label} depends on {other.label}, a template that does not run"
                yield guest.spot.warning(place, message, "it waits until that one is complete only")
            seen.add(wanted)


def _absent(folder: Folder, guest: AnyEntry, index: int, wanted: int) -> Problem:
    """A dependency that the files don't have; it may be meant as one replica."""
    place = ("dependencies", index)
    for other in folder.guests:
        if other.words.replicas and wanted in id_range(other):
            message = f"{guest.label} depends on {wanted}, a replica of {other.label}"
            return guest.spot.error(place, message, f"write {other.id}: it means all of them")
    message = f"{guest.label} depends on {wanted}, which is not in the files"
    return guest.spot.error(place, message, folder.known_ids(but=guest))
