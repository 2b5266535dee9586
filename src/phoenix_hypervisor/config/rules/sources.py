"""What guests are made of: a template or another guest's snapshot."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Guests made of nothing, of two things, or of a guest that isn't there or can't be cloned."""
    for guest in folder.guests:
        if guest.clone_of is not None:
            yield from _clone(folder, guest, guest.clone_of)
        elif guest.spot.raw(guest.clone_word) in (None, "", "NOT_SET"):
            yield from _made(folder, guest)


def _made(folder: Folder, guest: AnyEntry) -> Iterator[Problem]:
    words = guest.words
    if isinstance(words, Container):
        if words.template is None and not guest.spot.raw("template"):
            message = f"{guest.label} has neither a template nor a source to clone"
            hint = 'add "template": "debian-13-standard", or "clone_from_ctid"'
            yield guest.spot.error((), message, hint, key=True)
        return
    if not (words.template_image or words.template or folder.vm.vm_defaults.template):
        message = f"{guest.label} has no image, no template and no source to clone"
        yield guest.spot.error((), message, 'add "template_image" or "clone_from_vmid"', key=True)


def _clone(folder: Folder, guest: AnyEntry, source_id: int) -> Iterator[Problem]:
    place = (guest.clone_word,)
    source = folder.guest(source_id)
    if source is None:
        if folder.knows_all_guests:
            message = f"{guest.label} is cloned from {source_id}, which is not in the files"
            yield guest.spot.error(place, message, folder.known_ids(but=guest, kind=guest.kind))
        return
    if source.kind != guest.kind:
        message = f"{guest.label} can't be cloned from {source.label}: it is of another kind"
        yield guest.spot.error(place, message, "clone a container from a container, a VM from a VM")
        return
    if guest.words.template is not None:
        message = f"`template` is not used: {guest.label} is cloned from {source_id}"
        yield guest.spot.warning(("template",), message, "remove one of both", key=True)
    if (
        source.id != guest.id
        and guest.disk_gb
        and source.disk_gb
        and guest.disk_gb < source.disk_gb
    ):
        message = (
            f"the disk can't have {guest.disk_gb} GiB: "
            f"it is cloned from {source.label} with {source.disk_gb} GiB, and disks only grow"
        )
        yield guest.spot.warning((guest.disk_word,), message, f"write {source.disk_gb} or more")
