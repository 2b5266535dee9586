"""The whole of watching over a simulated node: how it begins, takes changed files, and ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
from tests.unit.app.watching.wards import A, B, Ward, ward

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import files, watcher
from phoenix_hypervisor.app.watching.care import Care
from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.app.watching.watcher import Opening, Watcher, Wishes
from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.config.load import Loaded
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigError, Denied, PhoenixError, Unreachable
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.watching import Happening


class Stops(SimDriver):
    """Takes its time to stop a guest, and tells what is done while the session is open."""

    log: ClassVar[list[str]] = []
    stopped: ClassVar[asyncio.Event]

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        await super().stop(address, tell, limit_s=limit_s)
        self.log.append("stopped")
        self.stopped.set()
        await asyncio.sleep(0.2)

    async def start(self, guest: Guest, tell: Tell) -> None:
        self.log.append("started")
        await super().start(guest, tell)


@dataclass
class World:
    """`errors` are what comes of opening the folder, one after the other; then it works."""

    ward: Ward
    errors: list[PhoenixError] = field(default_factory=list)
    beside: list[PhoenixError] = field(default_factory=list)
    told: list[Happening] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def watcher(self) -> Watcher:
        @asynccontextmanager
        async def session() -> AsyncIterator[Session]:
            if self.errors:
                raise self.errors.pop(0)
            self.log.append("open")
            try:
                yield self.ward.session
            finally:
                self.log.append("closed")

        @asynccontextmanager
        async def anew() -> AsyncIterator[Session]:
            if self.beside:
                raise self.beside.pop(0)
            yield self.ward.session

        wanted = self.ward.session.desired
        opening = Opening(wanted.folder, session, anew, lambda: Loaded(wanted, ()), str, Redactor())
        return Watcher(opening, self.told.append, Wishes())

    async def until(self, what: Callable[[], object], limit_s: float = 15) -> None:
        end = time.monotonic() + limit_s
        while not what():
            assert time.monotonic() < end, self.told
            await asyncio.sleep(0.02)

    def texts(self, what: str) -> list[str]:
        return [one.text for one in self.told if one.what == what]


@asynccontextmanager
async def watching(world: World) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(world.watcher().run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(watcher, "_OPEN_AGAIN_S", 0.1)
    monkeypatch.setattr(watcher, "_TICK_S", 0.05)
    monkeypatch.setattr(watcher, "_WRITE_S", 0.05)
    monkeypatch.setattr(files, "_EVERY_S", 0.05)
    return World(await ward(tmp_path))


async def test_the_end_comes_when_a_restart_is_over_and_the_target_still_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stops.stopped = asyncio.Event()
    world = World(await ward(tmp_path, HealPolicy(steps=("restart",), settle_s=0), Stops))
    Stops.log = world.log
    Stops.stopped.clear()
    real = Healer.consider

    async def ill(self: Healer, status: GuestStatus, now: float) -> None:
        await real(self, replace(status, health="down", since=now - 60), now)

    def seen(self: Watcher, address: Address) -> GuestStatus:
        return replace(self._guests.status(address), health="down")

    monkeypatch.setattr(Healer, "consider", ill)
    monkeypatch.setattr(Watcher, "_status", seen)
    async with watching(world) as task:
        await Stops.stopped.wait()
        task.cancel()
        await asyncio.wait([task])
    assert world.log[0] == "open"
    assert world.log[-1] == "closed"
    assert world.log.count("stopped") == world.log.count("started") > 0
    assert (await world.ward.state(A), await world.ward.state(B)) == ("running", "running")
    assert world.told[-1].what == "away"


async def test_files_that_can_not_be_opened_leave_it_watched_as_it_was(world: World) -> None:
    world.beside = [Denied("the token is of no use"), Denied("the token is of no use")]
    world.beside += [ConfigError("the files have errors")]
    folder = world.ward.session.desired.folder
    async with watching(world) as task:
        await world.until(lambda: len(world.texts("watching")) == 1)
        (folder / FILES[0]).write_text("{}")
        await world.until(lambda: len(world.texts("watching")) == 3)
        assert not task.done()
    assert world.texts("watching")[1] == "the files have changed: they are read again"
    assert [one.split(": ")[1] for one in world.texts("trouble")] == [
        "the token is of no use. It is watched as they were before",
        "the files have errors. It is watched as they were before",
    ]
    assert world.texts("unknown") == []
    assert world.log == ["open", "closed"] * 2


async def test_what_can_not_be_opened_again_is_waited_for(world: World) -> None:
    folder = world.ward.session.desired.folder
    async with watching(world) as task:
        await world.until(lambda: len(world.texts("watching")) == 1)
        world.errors = [ConfigError("the files have errors"), Unreachable("no route")]
        (folder / FILES[0]).write_text("{}")
        await world.until(lambda: len(world.texts("watching")) == 3)
        assert not task.done()
    assert world.texts("trouble") == ["the files have errors", "no route"]


async def test_a_target_that_is_away_at_the_beginning_is_waited_for_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tended: list[tuple[str, ...]] = []

    def tend(self: Care, statuses: list[GuestStatus]) -> None:
        tended.append(tuple(one.why for one in statuses))

    world.errors = [Unreachable("no route")] * 1000
    monkeypatch.setattr(Care, "tend", tend)
    async with watching(world):
        await world.until(lambda: len(tended) > 5)
        world.errors.clear()
        await world.until(lambda: len(world.texts("watching")) == 1)
    assert world.texts("trouble") == ["no route"]
    assert tended[5] == ("no route", "no route")


async def test_bad_files_at_the_beginning_end_it(world: World) -> None:
    world.errors = [ConfigError("the files have errors")]
    async with watching(world) as task:
        await asyncio.wait([task], timeout=10)
        with pytest.raises(ConfigError):
            task.result()


async def test_the_heartbeat_is_left_out_for_a_minute_after_a_bad_moment(world: World) -> None:
    found = world.watcher()
    now = time.monotonic()
    found._schedule.lateness.add(now - 90, 45.0)
    found._schedule.lately.add(now - 90, 45.0)
    assert found._is_well()
    found._schedule.lately.add(now, 45.0)
    assert not found._is_well()


async def test_a_write_that_breaks_is_told_once_and_followed_by_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0

    async def write(self: Keeper) -> None:
        nonlocal writes
        writes += 1
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "write", write)
        async with watching(world):
            await world.until(lambda: writes > 5)
            patch.undo()
    assert world.texts("trouble") == [
        "writing broke, by an unexpected UnicodeEncodeError: this is a bug"
    ]


async def test_a_disk_that_hangs_is_told_and_the_watchdog_is_fed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = 0

    def alive(self: object) -> None:
        nonlocal fed
        fed += 1

    async def write(self: Keeper) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(watcher, "_HANGS_S", 0.3)
    monkeypatch.setattr(watcher, "_CLOSE_S", 0.1)
    monkeypatch.setattr("phoenix_hypervisor.app.watching.systemd.Notifier.alive", alive)
    monkeypatch.setattr(Keeper, "write", write)
    async with watching(world):
        await world.until(lambda: world.texts("trouble"))
        before = fed
        await world.until(lambda: fed > before + 5)
    assert [one.rpartition(": ")[2] for one in world.texts("trouble")] == ["the disk hangs"]
