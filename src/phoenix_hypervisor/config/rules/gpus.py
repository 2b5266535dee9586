"""Graphics cards: those that guests use are those that the host has."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire.machines import whole_card
from phoenix_hypervisor.config.folder import HYPERVISOR, AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem

_PLACE = ("gpu_assignment",)


def find(folder: Folder) -> Iterator[Problem]:
    """Indices that the host lacks, or that nothing declares."""
    gpus = folder.host.gpus
    if gpus is not None:
        yield from _twice(folder)
    for guest in folder.guests:
        wanted = guest.words.gpu_assignment
        if gpus is None:
            if wanted and HYPERVISOR not in folder.broken:
                shown = ", ".join(map(str, wanted))
                message = f"{guest.label} uses graphics card {shown}, but no `gpus` are declared"
                hint = (
                    f'declare them in {HYPERVISOR}: "gpus": [{{"index": {wanted[0]}, "name": "…"}}]'
                )
                yield guest.spot.warning(_PLACE, message, hint)
            continue
        known = sorted({gpu.index for gpu in gpus})
        for index in wanted:
            if index not in known:
                message = f"{guest.label} uses graphics card {index}, which the host does not have"
                listed = ", ".join(map(str, known)) or "none"
                yield guest.spot.error(_PLACE, message, f"`gpus` lists: {listed}")
    yield from _without_address(folder)
    yield from _shared(folder)


def _without_address(folder: Folder) -> Iterator[Problem]:
    """A virtual machine gets a card by its address; an index alone says nothing."""
    bare = {gpu.index for gpu in folder.host.gpus or () if whole_card(gpu) is None}
    for guest in folder.machines:
        for index in guest.words.gpu_assignment:
            if index in bare:
                message = f"{guest.label} is to have graphics card {index}, but not which one it is"
                hint = f'give it "pci" or "mapping" in `gpus` of {HYPERVISOR}'
                yield guest.spot.error(_PLACE, message, hint)


def _shared(folder: Folder) -> Iterator[Problem]:
    """A card that a virtual machine has is bound to vfio-pci: nobody else can use it."""
    owner: dict[int, AnyEntry] = {}
    for machine in folder.machines:
        if not machine.rests:
            for index in machine.words.gpu_assignment:
                owner.setdefault(index, machine)
    for guest in folder.guests:
        for index in guest.words.gpu_assignment:
            first = owner.get(index)
            if first is not None and first is not guest and not guest.rests:
                message = f"{guest.label} can't use graphics card {index}: {first.label} has it"
                hint = "a card that a virtual machine has is its own; choose another one"
                yield guest.spot.error(_PLACE, message, hint)


def _twice(folder: Folder) -> Iterator[Problem]:
    seen: set[int] = set()
    for place, gpu in enumerate(folder.host.gpus or ()):
        if gpu.index in seen:
            message = f"the graphics card {gpu.index} is listed twice"
            spot = folder.spot(HYPERVISOR)
            yield spot.error(("gpus", place, "index"), message, "each index stands once")
        seen.add(gpu.index)
