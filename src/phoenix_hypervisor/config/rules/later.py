"""Words whose behaviour is not built yet: they are told, never silently ignored."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder, Spot, Vocabulary
from phoenix_hypervisor.config.marked import Marked, dotted, listed, marked
from phoenix_hypervisor.config.options import PLANNED, PLANNED_CHECKS
from phoenix_hypervisor.config.words.base import Later
from phoenix_hypervisor.config.words.vm import Machine
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
                yield spot.warning(place, f"`{dotted(place)}` {_TAIL}", key=True)
    found: defaultdict[tuple[str, str], list[_Found]] = defaultdict(list)
    for guest in folder.guests:
        for what, place in _of_guest(guest, folder.vocabulary):
            key = (guest.spot.document.file, what)
            found[key].append(_Found(guest.spot, place, guest.address))
    for (_, what), places in found.items():
        yield _told(what, places)


def _of_guest(guest: AnyEntry, vocabulary: Vocabulary) -> Iterator[tuple[str, Pointer]]:
    for place, mark in marked(guest.words, Later):
        if _matters(mark):
            yield f"`{dotted(place)}`", place
    words = guest.words
    if isinstance(words, Machine):
        for key in words.user_config.__pydantic_extra__ or {}:
            yield f"`user_config.{key}`", ("user_config", key)
    for index, name in enumerate(guest.words.features):
        if name in PLANNED and name not in vocabulary.features:
            yield f"the feature `{name}`", ("features", index)
    for index, check in enumerate(guest.words.checks):
        for kind in PLANNED_CHECKS:
            if kind in check and kind not in vocabulary.checks:
                yield f"the check `{kind}`", ("checks", index, kind)


def _matters(mark: Marked) -> bool:
    if isinstance(mark.marker, Later) and mark.marker.matters is not None:
        return mark.marker.matters(mark.value)
    return bool(mark.value != _default(mark.field))


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _told(what: str, places: list[_Found]) -> Problem:
    first, *others = places
    hint = listed(place.label for place in others if place.label != first.label)
    return first.spot.warning(first.place, f"{what} {_TAIL}", hint, key=True)
