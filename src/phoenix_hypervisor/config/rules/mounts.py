"""What is mounted where: no place twice, and no guest that is not there."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, AnyEntry, Folder
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.vm import Machine
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Mounts of guests that aren't there, and two things at one place."""
    for guest in folder.guests:
        yield from _twice(guest)
    if folder.knows_all_guests:
        yield from _nobody(folder)


def _twice(guest: AnyEntry) -> Iterator[Problem]:
    seen: dict[str, Pointer] = {}
    for place, target in _targets(guest.words):
        if target in seen:
            line = guest.spot.line(seen[target])
            message = f"{guest.label} has something else at {target} already (line {line})"
            yield guest.spot.error(place, message, "choose another path")
        seen.setdefault(target, place)


def _targets(words: Container | Machine) -> Iterator[tuple[Pointer, str]]:
    if isinstance(words, Machine):
        for index, share in enumerate(words.volumes):
            yield ("volumes", index, "mount_point"), share.mount_point.rstrip("/")
        return
    for index, mount in enumerate(words.mount_points):
        yield ("mount_points", index, "container_path"), mount.container_path.rstrip("/")
    for word in ("volumes", "zfs_volumes"):
        for index, volume in enumerate(getattr(words, word)):
            yield (word, index, "mount_point"), volume.mount_point.rstrip("/")


def _nobody(folder: Folder) -> Iterator[Problem]:
    spot = folder.spot(HYPERVISOR)
    for name, volume in (folder.host.shared_volumes.__pydantic_extra__ or {}).items():
        for guest_id in volume.mounts:
            place = ("shared_volumes", name, "mounts", str(guest_id))
            guest = folder.guest(guest_id)
            if guest is None:
                message = f"`{name}` is mounted in {guest_id}, which is not in the files"
                yield spot.warning(place, message, "remove the line, or add the guest", key=True)
            elif guest.kind == "vm":
                message = f"`{name}` can't be mounted in {guest.label}, a virtual machine"
                yield spot.warning(place, message, "share it over NFS: `volumes`", key=True)
