"""What features say of the whole folder, each flaw told at its place in the files."""

from collections.abc import Iterable, Iterator, Sequence

from phoenix_hypervisor.config import models, stacks
from phoenix_hypervisor.config.desire.serving import place_of_route
from phoenix_hypervisor.config.document import Pointer, pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.problem import Problem

_KNOWN_BY = frozenset({"name", "vmid", "network_config", "features"})
"""Words of a guest that features of others look at."""

_STEPS = 3
"""Parts of a guest's pointer, such as `/lxc_configs/101`: the first one is empty."""

_Home = tuple[str, str]
"""A guest's file, and its pointer there."""


def flaws(folder: Folder, desired: Desired, refused: Sequence[Problem]) -> Iterator[Problem]:
    """The flaws that features find.

    `refused` are the problems of words that were left out for them. Where another guest could be
    meant by one of those, nobody is asked: a mistake is told once, not again as its consequence.
    """
    errors = [problem for problem in refused if problem.severity == "error"]
    told = _by_guest(errors)
    homes = [_home(entry) for entry in folder.guests] if told else []
    if not folder.knows_all_guests or any(
        word in _KNOWN_BY for home in homes for word, _ in told.get(home, ())
    ):
        return
    by_address = {entry.address: entry for entry in folder.guests}
    options_are_known = not any(
        word in folder.vocabulary.features for home in homes for word, _ in told.get(home, ())
    )
    for entry in folder.guests:
        for use in entry.features:
            find = folder.vocabulary.flaws.get(use.name)
            if find is None or (told and _is_told(entry, use.name, told.get(_home(entry), ()))):
                continue
            for flaw in find(use.options, desired.guests[entry.address], desired):
                if flaw.guest is None:
                    yield _at_options(entry, use.name, flaw)
                elif flaw.guest in by_address:
                    owner = by_address[flaw.guest]
                    if options_are_known or not _is_endpoint(owner, flaw):
                        yield _at_guest(owner, flaw)


def _is_told(entry: AnyEntry, feature: str, told: Sequence[tuple[str, str]]) -> bool:
    """Whether something is wrong with the feature's options already."""
    above = pointer(entry.spot.path(feature))
    return any(f"{place}/".startswith(f"{above}/") for _, place in told)


def _is_endpoint(entry: AnyEntry, flaw: Flaw) -> bool:
    """Whether it is about a route to model servers, of which features' options tell."""
    routes = entry.words.routes
    match flaw.at:
        case ("routes", int(index)) if index < len(routes):
            return routes[index].llm is not None
    return False


def placed(folder: Folder, found: Iterable[Flaw]) -> Iterator[Problem]:
    """Flaws that somebody else found, each at its guest."""
    by_address = {entry.address: entry for entry in folder.guests}
    for flaw in found:
        if flaw.guest in by_address:
            yield _at_guest(by_address[flaw.guest], flaw)


def _home(entry: AnyEntry) -> _Home:
    return entry.spot.document.file, pointer(entry.spot.base)


def _by_guest(problems: Sequence[Problem]) -> dict[_Home, list[tuple[str, str]]]:
    """The word and the whole pointer of each problem, by the two steps that lead to a guest."""
    found: dict[_Home, list[tuple[str, str]]] = {}
    for problem in problems:
        steps = problem.pointer.split("/", 4)
        if len(steps) > _STEPS:
            home = problem.file, "/".join(steps[:_STEPS])
            found.setdefault(home, []).append((steps[_STEPS], problem.pointer))
    return found


def _at_options(entry: AnyEntry, feature: str, flaw: Flaw) -> Problem:
    """At the option; a feature without options is told where it stands in the list."""
    options = next(type(use.options) for use in entry.features if use.name == feature)
    hint = flaw.hint or models.about(options, flaw.at)
    if feature == "docker" and (beside := stacks.place_of(entry.words, flaw.at)):
        return entry.spot.error(beside, flaw.message, hint)
    if entry.spot.raw(feature) is None:
        return entry.spot.error(
            ("features", entry.words.features.index(feature)), flaw.message, hint
        )
    place: Pointer = (feature, *flaw.at)
    # A shorthand, such as a plain name for an object, has no place of its own inside.
    while len(place) > 1 and not isinstance(entry.spot.raw(*place[:-1]), dict | list):
        place = place[:-1]
    return entry.spot.error(place, flaw.message, hint)


def _at_guest(entry: AnyEntry, flaw: Flaw) -> Problem:
    place = flaw.at
    if place[:1] == ("routes",):
        place = place_of_route(entry, place)
    hint = flaw.hint or models.about(type(entry.words), flaw.at)
    return entry.spot.error(place, flaw.message, hint)
