"""What features say of the whole folder, each flaw told at its place in the files."""

from collections.abc import Iterator, Sequence

from phoenix_hypervisor.config.desire.serving import place_of_route
from phoenix_hypervisor.config.document import Pointer, pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.problem import Problem

_KNOWN_BY = frozenset({"name", "vmid", "network_config", "features"})
"""Words of a guest that features of others look at."""


def flaws(folder: Folder, desired: Desired, refused: Sequence[Problem]) -> Iterator[Problem]:
    """The flaws that features find.

    `refused` are the problems of words that were left out for them. Where another guest could be
    meant by one of those, nobody is asked: a mistake is told once, not again as its consequence.
    """
    errors = [problem for problem in refused if problem.severity == "error"]
    if not folder.knows_all_guests or any(_hides(folder, problem) for problem in errors):
        return
    by_address = {entry.address: entry for entry in folder.guests}
    told = {(problem.file, problem.pointer) for problem in errors}
    for entry in folder.guests:
        for use in entry.features:
            find = folder.vocabulary.flaws.get(use.name)
            above = pointer(entry.spot.path(use.name))
            if find is None or any(
                file == entry.spot.document.file and f"{place}/".startswith(f"{above}/")
                for file, place in told
            ):
                continue
            for flaw in find(use.options, desired.guests[entry.address], desired):
                if flaw.guest is None:
                    yield _at_options(entry, use.name, flaw)
                elif flaw.guest in by_address:
                    yield _at_guest(by_address[flaw.guest], flaw)


def _hides(folder: Folder, problem: Problem) -> bool:
    for entry in folder.guests:
        base = pointer(entry.spot.base) + "/"
        if problem.file == entry.spot.document.file and problem.pointer.startswith(base):
            return problem.pointer.removeprefix(base).partition("/")[0] in _KNOWN_BY
    return False


def _at_options(entry: AnyEntry, feature: str, flaw: Flaw) -> Problem:
    """At the option; a feature without options is told where it stands in the list."""
    if entry.spot.raw(feature) is None:
        return entry.spot.error(
            ("features", entry.words.features.index(feature)), flaw.message, flaw.hint
        )
    place: Pointer = (feature, *flaw.at)
    # A shorthand, such as a plain name for an object, has no place of its own inside.
    while len(place) > 1 and not isinstance(entry.spot.raw(*place[:-1]), dict | list):
        place = place[:-1]
    return entry.spot.error(place, flaw.message, flaw.hint)


def _at_guest(entry: AnyEntry, flaw: Flaw) -> Problem:
    place = flaw.at
    if place[:1] == ("routes",):
        place = place_of_route(entry, place)
    return entry.spot.error(place, flaw.message, flaw.hint)
