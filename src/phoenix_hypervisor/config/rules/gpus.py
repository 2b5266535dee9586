"""Graphics cards: those that guests use are those that the host has."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem

_PLACE = ("gpu_assignment",)


def find(folder: Folder) -> Iterator[Problem]:
    """Indices that the host lacks, or that nothing declares."""
    gpus = folder.host.gpus
    if gpus is not None:
        yield from _twice(folder)
    for guest in folder.containers:
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


def _twice(folder: Folder) -> Iterator[Problem]:
    seen: set[int] = set()
    for place, gpu in enumerate(folder.host.gpus or ()):
        if gpu.index in seen:
            message = f"the graphics card {gpu.index} is listed twice"
            spot = folder.spot(HYPERVISOR)
            yield spot.error(("gpus", place, "index"), message, "each index stands once")
        seen.add(gpu.index)
