"""Words whose behaviour is not built yet: they are told, never silently ignored."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import Folder, Spot
from phoenix_hypervisor.config.marked import Marked, marked
from phoenix_hypervisor.config.options import PLANNED, PLANNED_CHECKS
from phoenix_hypervisor.config.words.base import Later
from phoenix_hypervisor.model.problem import Problem

_TAIL = "is read, not yet applied"


@dataclass(frozen=True)
class _Found:
    spot: Spot
    place: Pointer
    label: str


def find(folder: Folder) -> Iterator[Problem]:
    """One warning for each such word of a file, however many guests use it."""
    for file, words in folder.models:
        spot = folder.spot(file)
        for place, mark in marked(words, Later):
            if _matters(mark):
                word = ".".join(map(str, place))
                yield spot.warning(place, f"`{word}` {_TAIL}", key=True)
    found: defaultdict[tuple[str, str], list[_Found]] = defaultdict(list)
    for guest in folder.guests:
        file = guest.spot.document.file
        for place, mark in marked(guest.words, Later):
            if _matters(mark):
                word = f"`{'.'.join(map(str, place))}`"
                found[file, word].append(_Found(guest.spot, place, guest.address))
        for index, name in enumerate(guest.words.features):
            if name in PLANNED and name not in folder.vocabulary.features:
                place = ("features", index)
                found[file, f"the feature `{name}`"].append(
                    _Found(guest.spot, place, guest.address)
                )
        for index, check in enumerate(guest.words.checks):
            kind = next(iter(check), "")
            if kind in PLANNED_CHECKS and kind not in folder.vocabulary.checks:
                place = ("checks", index, kind)
                found[file, f"the check `{kind}`"].append(_Found(guest.spot, place, guest.address))
    for (_, what), places in found.items():
        yield _told(what, places)


def _matters(mark: Marked) -> bool:
    later = mark.marker
    if isinstance(later, Later) and later.matters is not None:
        return later.matters(mark.value)
    return mark.value != _default(mark.field)


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _told(what: str, places: list[_Found]) -> Problem:
    first, *others = places
    also = sorted({place.label for place in others} - {first.label})
    shown = ", ".join(also[:5]) + (f" and {len(also) - 5} more" if len(also) > 5 else "")  # noqa: PLR2004 - a line's worth
    hint = f"also in {shown}" if also else ""
    return first.spot.warning(first.place, f"{what} {_TAIL}", hint, key=True)
