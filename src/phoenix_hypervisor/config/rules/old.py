"""Words of the past: still read, with what to write today."""

from collections import defaultdict
from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, AnyEntry, Folder
from phoenix_hypervisor.config.marked import listed, marked
from phoenix_hypervisor.config.words.base import Old, Unused
from phoenix_hypervisor.config.words.vllm import OLD_WORDS
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Old words and unused ones."""
    for place, mark in marked(folder.host, Unused):
        if mark.value:
            spot = folder.spot(HYPERVISOR)
            yield spot.warning(place, f"`{place[-1]}` is no longer used", "remove it", key=True)
    found: defaultdict[tuple[str, str], list[tuple[AnyEntry, Pointer]]] = defaultdict(list)
    for guest in folder.guests:
        for place, old in marked(guest.words, Old):
            if old.value is not None and isinstance(old.marker, Old):
                key = (guest.spot.document.file, old.marker.instead)
                found[key].append((guest, place))
    for (_, instead), places in found.items():
        guest, place = places[0]
        also = listed(other.address for other, _ in places[1:])
        hint = f"write {instead} instead" + (f"; {also}" if also else "")
        yield guest.spot.warning(place, f"`{place[-1]}` is an old word", hint, key=True)
    for guest in folder.containers:
        given = guest.words.model_fields_set
        used = [w for w in OLD_WORDS if w in given and getattr(guest.words, w) is not None]
        if used:
            first = min(used, key=lambda word: guest.spot.document.place(guest.spot.path(word)))
            shown = ", ".join(f"`{word}`" for word in used[:3])
            more = f" and {len(used) - 3} more" if len(used) > 3 else ""  # noqa: PLR2004 - the first three
            verb = "is an old spelling" if len(used) == 1 else "are old spellings"
            message = f"{shown}{more} {verb} of vLLM's options"
            yield guest.spot.warning((first,), message, 'write them into "vllm": { … }', key=True)
