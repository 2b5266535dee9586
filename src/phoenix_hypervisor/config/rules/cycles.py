"""Guests that wait for each other in a circle could never start."""

from collections.abc import Iterator, Mapping
from itertools import islice

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem

MOST = 50
"""So many circles are told; where everything waits for everything there are millions."""


def find(folder: Folder) -> Iterator[Problem]:
    """Each circle of dependencies and clones once, at its first guest in the files."""
    place = {guest.id: index for index, guest in reversed([*enumerate(folder.guests)])}
    return (_told(folder, circle, place) for circle in islice(_circles(folder), MOST))


def _circles(folder: Folder) -> Iterator[list[int]]:
    done: set[int] = set()
    for guest in folder.guests:
        if guest.id not in done and folder.guest(guest.id) is guest:
            yield from _walk(folder, guest, done)


def _walk(folder: Folder, start: AnyEntry, done: set[int]) -> Iterator[list[int]]:
    """A depth-first walk without recursion; `trail` is the way from the start."""
    trail: dict[int, Iterator[int]] = {start.id: iter(_next(start))}
    while trail:
        last, waiting = next(reversed(trail.items()))
        wanted = next(waiting, None)
        if wanted is None:
            done.add(last)
            del trail[last]
            continue
        guest = folder.guest(wanted)
        if wanted in trail:
            way = list(trail)
            yield way[way.index(wanted) :]
        elif guest is not None and wanted not in done:
            trail[wanted] = iter(_next(guest))


def _next(guest: AnyEntry) -> list[int]:
    source = [] if guest.clone_of is None else [guest.clone_of]
    return [*source, *guest.words.dependencies]


def _told(folder: Folder, circle: list[int], place: Mapping[int, int]) -> Problem:
    first = circle.index(min(circle, key=lambda one: place[one]))
    circle = [*circle[first:], *circle[:first]]
    guest = folder.guest(circle[0])
    if guest is None:
        raise AssertionError("a circle consists of guests")
    wanted = circle[1 % len(circle)]
    shown = " -> ".join(str(step) for step in (*circle, circle[0]))
    where: Pointer = (guest.clone_word,)
    if guest.clone_of != wanted:
        where = ("dependencies", guest.words.dependencies.index(wanted))
    message = f"these guests wait for each other in a circle: {shown}"
    if len(circle) == 1:
        message = f"{guest.label} waits for itself: {shown}"
    return guest.spot.error(where, message, "remove one of these dependencies or clones")
