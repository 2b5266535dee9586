"""Whether a guest that is absent was made: one that somebody destroyed is not missed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from tests.unit.history.runs import begun, keep
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.watching import guests as module
from phoenix_hypervisor.app.watching import made
from phoenix_hypervisor.app.watching.conditions import of_guest
from phoenix_hypervisor.app.watching.guests import Guests, WasMade
from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.history.recorder import Recorder
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.desired import Capacity
from phoenix_hypervisor.model.event import Event
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.watch import AlertWords
from phoenix_hypervisor.model.watching import Happening

A, B = lxc(101), lxc(102)
NOTHING = Observed(guests={}, resources={}, capacity=Capacity(1, 1, 1))


def ended(action: str) -> Event:
    return Event("finished", A, action, action, 1.0)


@dataclass
class World:
    guests: Guests
    happened: list[Happening] = field(default_factory=list)

    @property
    def said(self) -> list[tuple[str, object]]:
        return [(one.what, one.guest) for one in self.happened]

    @property
    def how(self) -> tuple[str, bool]:
        status = self.guests.status(A)
        return status.health, status.made

    @property
    def is_missed(self) -> bool:
        return bool(list(of_guest(self.guests.status(A), AlertWords(), time.time() + 3600)))

    def look(self) -> None:
        self.guests.looked(NOTHING, "lab", frozenset())

    async def until(self, what: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not what():
            assert time.monotonic() < end, (self.guests.statuses(), self.happened)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watched(folder: Path, was_made: WasMade | None = None) -> AsyncIterator[World]:
    happened: list[Happening] = []
    was_made = was_made or partial(made.before, folder, "sim")
    guests = Guests(Keeper(folder, print), happened.append, was_made)
    guests.keep(desired(plain(101), plain(102), folder=folder), {})
    settling = asyncio.create_task(guests.settle())
    try:
        yield World(guests, happened)
        assert not settling.done()
    finally:
        settling.cancel()
        await asyncio.wait([settling])


async def test_one_that_stands_in_the_files_only_is_not_made_yet(tmp_path: Path) -> None:
    async with watched(tmp_path, lambda asked: {*asked} - {A}) as world:
        world.look()
        assert world.happened == []
        await world.until(lambda: world.happened)
        assert world.said == [("down", B)]
        assert world.how == ("unknown", False)


async def test_one_that_somebody_removed_by_hand_is_missed_at_once(tmp_path: Path) -> None:
    keep(tmp_path, "made", [ended("create")])
    async with watched(tmp_path) as world:
        world.guests.saw(A, "running")
        world.look()
        await world.until(lambda: world.said)
        assert world.said == [("down", A)]
        assert world.how == ("down", True)


async def test_one_that_is_destroyed_while_it_is_watched_is_not_made(tmp_path: Path) -> None:
    keep(tmp_path, "made", [ended("create")])
    async with watched(tmp_path) as world:
        world.guests.saw(A, "running")
        run = Recorder(tmp_path, begun("gone", command="phoenix destroy web"))
        world.guests.plan({A: "`phoenix destroy web` by ada"})
        world.look()  # before the history tells of it
        await world.until(lambda: world.how == ("planned", True))
        run.take(ended("delete"))
        run.end("ok")
        world.guests.plan({})
        world.look()
        assert world.how == ("planned", True)
        await world.until(lambda: world.how == ("unknown", False))
        world.look()
        assert not world.is_missed
        assert ("down", A) not in world.said
        world.guests.saw(A, "running")
        assert world.how == ("up", True)
        world.look()
        await world.until(lambda: world.how == ("unknown", False))


async def test_what_the_history_tells_late_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLE_AGAIN_S", 0.05)
    keep(tmp_path, "made", [ended("create")])
    async with watched(tmp_path) as world:
        world.guests.saw(A, "running")
        world.look()
        await world.until(lambda: world.how == ("down", True))
        keep(tmp_path, "gone", [ended("delete")])
        await world.until(lambda: world.how == ("unknown", False))
        assert not world.is_missed


async def test_one_that_healing_deleted_and_has_not_made_anew_is_missed(tmp_path: Path) -> None:
    keep(tmp_path, "made", [ended("create")])
    keep(tmp_path, "heals", [ended("delete")], command="phoenix watch: destroy lxc/101")
    async with watched(tmp_path) as world:  # by the next watcher
        world.look()
        await world.until(lambda: world.how == ("down", True))
        assert world.is_missed


@pytest.mark.parametrize("hangs", [True, False])
async def test_of_what_can_not_be_asked_all_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr(module, "_SETTLE_S", 0.05)

    def asked(asked: Collection[Address]) -> Collection[Address]:
        time.sleep(0.5 if hangs else 0)
        raise RuntimeError("out of cheese")

    async with watched(tmp_path, asked) as world:
        world.look()
        await world.until(lambda: world.how == ("down", True))
        troubles = [one.text for one in world.happened if one.what == "trouble"]
        assert len(troubles) == (0 if hangs else 1)
