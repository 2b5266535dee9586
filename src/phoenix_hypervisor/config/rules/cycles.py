"""Guests that wait for each other in a circle could never start."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Each circle of dependencies and clones once, at its first guest in the files."""
    done: set[int] = set()
    for guest in folder.guests:
        if guest.id not in done and folder.guest(guest.id) is guest:
            yield from _walk(folder, guest, done)


def _walk(folder: Folder, start: AnyEntry, done: set[int]) -> Iterator[Problem]:
    """A depth-first walk without recursion; `trail` is the way from the start."""
    trail: list[int] = [start.id]
    waiting: list[list[int]] = [_next(start)]
    while trail:
        if not waiting[-1]:
            done.add(trail.pop())
            waiting.pop()
            continue
        wanted = waiting[-1].pop(0)
        guest = folder.guest(wanted)
        if wanted in trail:
            yield _told(folder, trail[trail.index(wanted) :])
        elif guest is not None and wanted not in done:
            trail.append(wanted)
            waiting.append(_next(guest))


def _next(guest: AnyEntry) -> list[int]:
    source = [] if guest.clone_of is None else [guest.clone_of]
    return [*source, *guest.words.dependencies]


def _told(folder: Folder, circle: list[int]) -> Problem:
    order = [guest.id for guest in folder.guests]
    first = circle.index(min(circle, key=order.index))
    circle = [*circle[first:], *circle[:first]]
    guest = folder.guest(circle[0])
    if guest is None:
        raise AssertionError("a circle consists of guests")
    wanted = circle[1 % len(circle)]
    shown = " -> ".join(str(step) for step in (*circle, circle[0]))
    place: Pointer = (guest.clone_word,)
    if guest.clone_of != wanted:
        place = ("dependencies", guest.words.dependencies.index(wanted))
    message = f"these guests wait for each other in a circle: {shown}"
    if len(circle) == 1:
        message = f"{guest.label} waits for itself: {shown}"
    return guest.spot.error(place, message, "remove one of these dependencies or clones")
