"""In which order the firewall's changes are made, so that who is let in stays let in. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from phoenix_hypervisor.host._firewall_world import Way, World
from phoenix_hypervisor.host._packet import Verdict
from phoenix_hypervisor.host.part import Task

States = Callable[[Task, World], Iterator[World]]
Shut = tuple[Way, Verdict]


def last(tasks: Sequence[Task], world: World, states: States) -> World:
    """The world after all tasks, in whatever order."""
    for task in tasks:
        for after in states(task, world):
            world = after
    return world


def ordered(
    tasks: Sequence[Task], world: World, ways: Sequence[Way], states: States
) -> tuple[Sequence[Task], Sequence[tuple[Task, Shut]]]:
    """The tasks one after another, and where there is no good order, which task shuts which way.

    Of those whose grounds (`after`) are made, the first comes next whose every write keeps open all
    ways that were open. A way that is shut now can't be lost until it was opened.
    """
    done: list[Task] = []
    left = list(tasks)
    is_open = {way for way in ways if world.verdict(way).passes}
    while left:
        names = {task.address for task in left}
        trouble: list[tuple[Task, Shut]] = []
        for task in left:
            if names.intersection(task.after):
                continue
            found = _walked(task, world, ways, frozenset(is_open), states)
            if isinstance(found, World):
                world = found
                is_open |= {way for way in ways if world.verdict(way).passes}
                break
            trouble.append((task, found))
        else:
            return (*done, *left), trouble
        left.remove(task)
        done.append(replace(task, after=tuple(one.address for one in done[-1:])))
    return done, ()


def shut_by(task: Task, world: World, ways: Sequence[Way], states: States) -> Shut | None:
    """The first of the ways open now that this task would shut; None where it shuts none."""
    found = _walked(
        task, world, ways, frozenset(way for way in ways if world.verdict(way).passes), states
    )
    return None if isinstance(found, World) else found


def _walked(
    task: Task, world: World, ways: Sequence[Way], is_open: frozenset[Way], states: States
) -> World | Shut:
    """The world after the task, or the first way that it shuts."""
    for world in states(task, world):  # noqa: B020, PLR1704 - each follows from the one before
        found = {way: world.verdict(way) for way in ways}
        for way in ways:
            if way in is_open and not found[way].passes:
                return way, found[way]
        is_open |= {way for way, verdict in found.items() if verdict.passes}
    return world
