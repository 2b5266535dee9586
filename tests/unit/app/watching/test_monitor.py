"""The monitor over a simulated node: one bad check costs nobody else, and what changes is seen."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import monitor as module
from phoenix_hypervisor.app.watching.applies import Applies
from phoenix_hypervisor.app.watching.guests import Guests
from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.app.watching.monitor import Monitor
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.check import Check, Outcome, Place
from phoenix_hypervisor.model.errors import Retryable
from phoenix_hypervisor.model.watching import GuestChanged, Happening
from phoenix_hypervisor.watch.schedule import Schedule
from phoenix_hypervisor.watch.store import Key

A, B = lxc(101), lxc(102)


class Says(Check):
    """Says what the test wants."""

    kind: ClassVar[str] = "says"
    does: ClassVar[dict[str, Callable[[], Outcome]]] = {}
    asked: ClassVar[list[str]] = []

    def describe(self) -> str:
        return self.name

    async def ask(self, place: Place) -> Outcome:
        self.asked.append(self.name)
        if self.name == "slow":
            await asyncio.sleep(60)
        return self.does.get(self.name, lambda: Outcome(True, "yes"))()


class Quiet(WithInside):
    """Without events, with an inside."""

    async def way_in(self, address: Address) -> Sequence[str]:
        return ["sh"]


class Telling(Quiet):
    """Tells the events that the test puts into the queue."""

    told: ClassVar["asyncio.Queue[GuestChanged]"]

    async def changes(self) -> AsyncIterator[GuestChanged | None]:
        yield None
        while True:
            yield await self.told.get()


@dataclass
class World:
    node: Node
    guests: Guests
    schedule: Schedule[Key]
    happened: list[Happening] = field(default_factory=list)
    doubted: list[Address] = field(default_factory=list)
    changed_ones: list[Address] = field(default_factory=list)

    def every_second(self) -> None:
        """Nobody cares here."""

    def changed(self, address: Address) -> None:
        self.changed_ones.append(address)

    def doubt(self, address: Address, *, hurts: bool) -> None:
        self.doubted.append(address)
        assert hurts

    async def until(self, what: Callable[[], object], limit_s: float = 15) -> None:
        end = time.monotonic() + limit_s
        while not what():
            assert time.monotonic() < end, (self.guests.statuses(), self.happened)
            await asyncio.sleep(0.02)

    def told(self, what: str, address: Address) -> list[str]:
        return [h.text for h in self.happened if (h.what, h.guest) == (what, address)]


@asynccontextmanager
async def watched(
    folder: Path, checks: dict[Address, tuple[Check, ...]], driver: type[Quiet] = Quiet
) -> AsyncIterator[World]:
    Says.does, Says.asked = {}, []
    wanted = desired(
        *(plain(int(at.partition("/")[2]), checks=own) for at, own in checks.items()), folder=folder
    )
    node = Node(wanted, driver_type=driver)
    await node.complete()
    session = Session(wanted, node.driver(), Secrets(folder, {}), ())
    happened: list[Happening] = []
    world = World(node, Guests(Keeper(folder, print), happened.append), Schedule(50), happened)
    monitor = Monitor(session, world.guests, world.schedule, happened.append, world)
    task = asyncio.create_task(monitor.run())
    try:
        await world.until(lambda: len(world.guests))
        yield world
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert world.schedule.under_way == 0


def says(name: str, **words: object) -> Check:
    return Says.model_validate({"name": name, "every_s": 0.5, **words})


def health(world: World, address: Address) -> str:
    return world.guests.status(address).health


async def test_a_check_whose_code_breaks_is_told_once_and_stops_nobody(tmp_path: Path) -> None:
    def broken() -> Outcome:
        raise RuntimeError("out of cheese")

    async with watched(tmp_path, {A: (says("broken"),), B: (says("good"),)}) as world:
        Says.does["broken"] = broken
        await world.until(lambda: Says.asked.count("broken") > 3 and health(world, B) == "up")
        assert health(world, A) == "unknown"
        assert "this is a bug" in world.guests.status(A).why
        assert len(world.told("trouble", A)) == 1
        assert "out of cheese" in world.told("trouble", A)[0]


async def test_a_right_answer_that_comes_late_is_slow_and_no_outage(tmp_path: Path) -> None:
    async with watched(tmp_path, {A: (says("late"),)}) as world:
        Says.does["late"] = lambda: Outcome(False, "it took 2.2 s", 2200.0, late=True)
        await world.until(lambda: Says.asked.count("late") > 3)
        [answer] = world.guests.status(A).answers
        assert (answer.health, answer.slow, answer.message) == ("up", True, "it took 2.2 s")
        assert (health(world, A), world.doubted) == ("up", [])


async def test_a_check_that_hangs_holds_no_other_up_and_is_never_asked_twice_at_once(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path, {A: (says("slow"), says("quick"))}) as world:
        await world.until(lambda: Says.asked.count("quick") > 4)
        assert Says.asked.count("slow") == 1
        await world.until(lambda: world.doubted == [A])  # a second after it was asked


async def test_one_failure_is_a_reason_to_look_and_none_to_be_down(tmp_path: Path) -> None:
    answers = [Outcome(True, "yes"), Outcome(False, "refused")]
    async with watched(tmp_path, {A: (says("pages"),)}) as world:
        Says.does["pages"] = lambda: answers.pop(0) if answers else Outcome(True, "yes")
        await world.until(lambda: world.doubted == [A] and Says.asked.count("pages") > 4)
        assert world.doubted == [A]
        assert world.told("down", A) == []


async def test_the_first_failure_is_a_reason_also_where_very_many_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_PER_S", 0.5)
    async with watched(tmp_path, {A: (says("pages"),)}) as world:
        Says.does["pages"] = lambda: Outcome(False, "refused")
        await world.until(lambda: world.doubted == [A])
        await world.until(lambda: world.told("down", A))
        assert world.doubted == [A]


async def test_a_history_that_hangs_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(module, "_HISTORY_S", 0.1)
    monkeypatch.setattr(Applies, "now", lambda _: hangs.wait(30) and {})
    async with watched(tmp_path, {A: (says("pages"),)}) as world:
        await world.until(lambda: health(world, A) == "up")
        await world.node.driver().stop(A, lambda _: None)
        await world.until(lambda: world.told("down", A) == ["it is stopped"], 5)
    hangs.set()


async def test_a_failure_is_told_and_so_is_its_end(tmp_path: Path) -> None:
    async with watched(tmp_path, {A: (says("pages"),)}) as world:
        await world.until(lambda: health(world, A) == "up")
        Says.does["pages"] = lambda: Outcome(False, "refused")
        await world.until(lambda: world.told("down", A) == ["pages: refused"])
        Says.does.clear()
        await world.until(lambda: world.told("up", A))
        assert world.told("up", A)[0].startswith("after ")


async def test_without_events_a_stop_is_seen_by_looking(tmp_path: Path) -> None:
    async with watched(tmp_path, {A: ()}) as world:
        await world.until(lambda: health(world, A) == "up")
        await world.node.driver().stop(A, lambda _: None)
        await world.until(lambda: world.told("down", A) == ["it is stopped"])


async def test_an_event_is_heard_at_once_and_known_with_who_asked_for_it(tmp_path: Path) -> None:
    Telling.told = asyncio.Queue()
    async with watched(tmp_path, {A: (says("pages"),)}, Telling) as world:
        await world.until(lambda: health(world, A) == "up")
        await world.node.driver().stop(A, lambda _: None)
        change = GuestChanged(A, "stopped", time.time(), "somebody")
        began = time.monotonic()
        Telling.told.put_nowait(change)
        await world.until(lambda: health(world, A) == "down")
        assert time.monotonic() - began < 1.0
        assert world.guests.status(A).change == change
        assert world.changed_ones == [A]
        asked = len(Says.asked)
        await world.node.driver().start(world.node.folder.guests[A], lambda _: None)
        Telling.told.put_nowait(GuestChanged(A, "running", time.time(), None))
        await world.until(lambda: health(world, A) == "up")
        assert len(Says.asked) > asked


async def test_a_lost_hypervisor_leaves_what_is_seen_from_outside(tmp_path: Path) -> None:
    inside = says("inside", **{"from": "inside"})
    async with watched(tmp_path, {A: (inside,), B: (says("outside"),)}) as world:
        await world.until(lambda: {health(world, A), health(world, B)} == {"up"})
        world.node.faults.fail("observe", None, Retryable("the node does not answer"), times=6)
        Says.does["inside"] = lambda: Outcome(False, "no shell can be opened")
        await world.until(lambda: world.guests.status(A).why == "the node does not answer")
        assert health(world, A) == "unknown"
        assert health(world, B) == "up"
        Says.does.clear()
        await world.until(lambda: health(world, A) == "up", 30)
        assert world.told("down", A) == []
