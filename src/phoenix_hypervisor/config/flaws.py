"""What features say of the whole folder, each flaw told at its place in the files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from phoenix_hypervisor.config import models, ports, stacks, vllm
from phoenix_hypervisor.config.desire.serving import place_of_route
from phoenix_hypervisor.config.document import Pointer, pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.replicas import owners
from phoenix_hypervisor.config.sure import Home, by_guest, home
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.problem import Problem

_KNOWN_BY = frozenset({"name", "vmid", "network_config", "features"})
"""Words of a guest that features of others look at."""


_Told = Mapping[Home, Sequence[tuple[str, str]]]


def flaws(folder: Folder, desired: Desired, refused: Sequence[Problem]) -> Iterator[Problem]:
    """The flaws that features find.

    `refused` are the problems of words that were left out for them. Where another guest could be
    meant by one of those, nobody is asked: a mistake is told once, not again as its consequence.
    """
    errors = [problem for problem in refused if problem.severity == "error"]
    told = by_guest(errors)
    yield from _taken_twice(folder, desired, told)
    homes = [home(entry) for entry in folder.guests] if told else []
    if not folder.knows_all_guests or any(
        word in _KNOWN_BY for one in homes for word, _ in told.get(one, ())
    ):
        return
    by_address = owners(folder)
    options_are_known = not any(
        word in folder.vocabulary.features for one in homes for word, _ in told.get(one, ())
    )
    for entry in folder.guests:
        for use in entry.features:
            find = folder.vocabulary.flaws.get(use.name)
            if find is None or (told and _is_told(entry, use.name, told.get(home(entry), ()))):
                continue
            for flaw in find(use.options, desired.guests[entry.address], desired):
                if flaw.guest is None:
                    yield _at_options(entry, use.name, flaw)
                elif flaw.guest in by_address:
                    owner = by_address[flaw.guest]
                    if any(word in flaw.at[:1] for word, _ in told.get(home(owner), ())):
                        continue
                    if options_are_known or not _is_endpoint(owner, flaw):
                        yield _at_guest(owner, flaw)


def _taken_twice(folder: Folder, desired: Desired, told: _Told) -> Iterator[Problem]:
    """Ports that two programs of a guest would take."""
    find = folder.vocabulary.listens
    for entry in folder.guests:
        taken = [
            (use.name, listen, place_of_option(entry, use.name, listen.at))
            for use in entry.features
            if use.name in find and not _is_told(entry, use.name, told.get(home(entry), ()))
            for listen in find[use.name](use.options, desired.guests[entry.address], desired)
        ]
        for feature, flaw in ports.collisions(entry, taken):
            yield _at_options(entry, feature, flaw)


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
    by_address = owners(folder)
    seen = set[tuple[Address, Pointer]]()  # what is wrong with one replica is so with all
    for flaw in found:
        owner = by_address.get(flaw.guest) if flaw.guest else None
        if owner is None or (owner.words.replicas and (owner.address, flaw.at) in seen):
            continue
        seen.add((owner.address, flaw.at))
        yield _at_guest(owner, flaw)


def _at_options(entry: AnyEntry, feature: str, flaw: Flaw) -> Problem:
    """At the option; a feature without options is told where it stands in the list."""
    options = next(type(use.options) for use in entry.features if use.name == feature)
    hint = flaw.hint or models.about(options, flaw.at)
    return _problem(entry, place_of_option(entry, feature, flaw.at), flaw, hint)


def place_of_option(entry: AnyEntry, feature: str, at: Pointer) -> Pointer:
    """Where an option stands among the guest's words; of what isn't written what holds it."""
    if feature == "docker" and (beside := stacks.place_of(entry.words, at)):
        return beside
    if feature == "vllm" and isinstance(entry.words, Container) and at:
        _, older = vllm.options_of(entry.words)
        if at[0] in older and entry.spot.raw(feature, at[0]) is None:
            return (*older[str(at[0])], *at[1:])
    if entry.spot.raw(feature) is None:
        return ("features", entry.words.features.index(feature))
    place: Pointer = (feature, *at)
    # A shorthand, such as a plain name for an object, has no place of its own inside.
    while len(place) > 1 and not isinstance(entry.spot.raw(*place[:-1]), dict | list):
        place = place[:-1]
    return place


def _at_guest(entry: AnyEntry, flaw: Flaw) -> Problem:
    place = flaw.at
    if place[:1] == ("routes",):
        place = place_of_route(entry, place)
    hint = flaw.hint or models.about(type(entry.words), flaw.at)
    if place and place[0] in entry.words.features:
        place = place_of_option(entry, str(place[0]), place[1:])
    return _problem(entry, place, flaw, hint)


def _problem(entry: AnyEntry, place: Pointer, flaw: Flaw, hint: str) -> Problem:
    tell = entry.spot.warning if flaw.severity == "warning" else entry.spot.error
    return tell(place, flaw.message, hint)
