"""What is done about how guests are: as they are when their turn comes, and no more at the end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from tests.unit.app.watching.wards import A, B, Ward, ward

from phoenix_hypervisor.app import objectives
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import care as module
from phoenix_hypervisor.app.watching import told_before
from phoenix_hypervisor.app.watching.care import Care
from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Limits, Tell
from phoenix_hypervisor.model.watching import GuestChanged, Happening
from phoenix_hypervisor.watch.store import Store


class Slow(SimDriver):
    """Heals one guest at a time; a guest is started only when the test says so."""

    starting: ClassVar[list[Address]] = []
    go: ClassVar[asyncio.Event]

    async def start(self, guest: Guest, tell: Tell) -> None:
        self.starting.append(guest.address)
        await self.go.wait()
        await super().start(guest, tell)


@dataclass
class World:
    ward: Ward
    statuses: dict[Address, GuestStatus] = field(default_factory=dict)
    told: list[Happening] = field(default_factory=list)
    care: Care = field(init=False)

    def __post_init__(self) -> None:
        @asynccontextmanager
        async def anew() -> AsyncIterator[Session]:
            yield self.ward.session

        self.care = Care(anew, self.told.append, self.statuses.get, observe_only=False)

    async def stopped(self, address: Address, by: str | None = None) -> None:
        status = await self.ward.stopped(address)
        now = time.time()
        change = GuestChanged(address, "stopped", now, by)
        self.statuses[address] = replace(status, since=now, change=change)

    def tend(self) -> None:
        self.care.tend(list(self.statuses.values()))

    async def until(self, what: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not what():
            assert time.monotonic() < end, (self.told, self.care._busy)
            await asyncio.sleep(0.01)

    @property
    def said(self) -> list[tuple[Address | str, str, str]]:
        return [(one.guest, one.what, one.step) for one in self.told]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    Slow.go = asyncio.Event()
    Slow.go.set()
    Slow.starting.clear()
    made = World(await ward(tmp_path, kind=Slow))
    driver = made.ward.session.driver
    assert isinstance(driver, Slow)
    driver.limits = Limits(parallel=1)
    Slow.go.clear()
    Slow.starting.clear()
    made.care.use(made.ward.session)
    yield made
    Slow.go.set()
    await made.care.close()


@pytest.mark.parametrize("what", ["up", "stopped by ada"])
async def test_one_whose_turn_comes_late_is_healed_as_it_is_then(
    world: World, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    considered: list[GuestStatus] = []
    real = Healer.consider

    async def consider(self: Healer, status: GuestStatus, now: float) -> None:
        considered.append(status)
        await real(self, status, now)

    monkeypatch.setattr(Healer, "consider", consider)
    await world.stopped(A)
    await world.stopped(B)
    world.tend()
    await world.until(lambda: Slow.starting == [A])
    if what == "up":
        world.statuses[B] = replace(world.statuses[B], state="running", health="up", change=None)
    else:
        await world.stopped(B, "ada")
    Slow.go.set()
    await world.until(lambda: len(world.care._busy) == 0)
    assert [one for one in world.said if one[1] == "heal"] == [(A, "heal", "start")]
    assert await world.ward.state(B) == "stopped"
    assert [one for one in considered if one.address == B] == [world.statuses[B]]


async def test_at_its_end_it_begins_nothing_and_ends_what_it_has_begun(world: World) -> None:
    await world.stopped(A)
    await world.stopped(B)
    world.tend()
    await world.until(lambda: Slow.starting == [A])
    ending = asyncio.create_task(world.care.settle(10))
    await asyncio.sleep(0)
    world.tend()
    world.care.attend(B)
    world.care.doubt(B, hurts=True)
    Slow.go.set()
    await ending
    assert (await world.ward.state(A), await world.ward.state(B)) == ("running", "stopped")
    assert Slow.starting == [A]
    world.statuses[A] = world.ward.running(A)
    world.care.use(world.ward.session)  # and goes on with the next session
    world.tend()
    await world.until(lambda: Slow.starting == [A, B])


async def test_a_guest_that_is_no_longer_watched_is_left(world: World) -> None:
    await world.stopped(A)
    world.statuses.clear()
    world.care.attend(A)
    await world.until(lambda: not world.care._busy)
    assert world.told == []


async def test_a_bug_in_healing_is_told_once_and_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Healer, status: GuestStatus, now: float) -> None:
        raise RuntimeError("out of cheese")

    with monkeypatch.context() as patch:
        patch.setattr(Healer, "consider", broken)
        await world.stopped(A)
        for _ in range(3):
            world.tend()
            await world.until(lambda: not world.care._busy)
    assert [one.text for one in world.told] == [
        "healing broke, by an unexpected RuntimeError: this is a bug; please report it"
    ]
    world.tend()
    await world.until(lambda: Slow.starting == [A])


async def test_a_disk_that_hangs_keeps_nobody_from_hearing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(module, "_KEEP_S", 0.05)
    monkeypatch.setattr(told_before, "keep", lambda *_: hangs.wait(30))
    monkeypatch.setattr(objectives, "measured", lambda *_: hangs.wait(30) and [])
    secrets, wanted = world.ward.session.secrets, world.ward.session.desired
    alerts = replace(wanted.watch.alerts, group_s=0)
    wanted = replace(wanted, watch=replace(wanted.watch, alerts=alerts))
    world.care = Care(world.care._anew, world.told.append, world.statuses.get, observe_only=True)
    world.care.tell(wanted, secrets.lookup, secrets.redactor)
    since = time.time() - 1e6

    def is_told(address: Address) -> bool:
        return address in {one.guest for one in world.told}

    for address in (A, B):
        world.statuses[address] = GuestStatus(address, "", "unknown", "unknown", since, why="away")
        world.tend()
        await world.until(lambda: not world.care._busy.get("alerts"))
        world.tend()
        await world.until(partial(is_told, address))
    hangs.set()
    await world.care.close()


async def test_people_are_told_also_where_nothing_can_be_healed_yet(tmp_path: Path) -> None:
    made = World(await ward(tmp_path))
    secrets, wanted = made.ward.session.secrets, made.ward.session.desired
    alerts = replace(wanted.watch.alerts, group_s=0)
    wanted = replace(wanted, watch=replace(wanted.watch, alerts=alerts))
    made.care.tell(wanted, secrets.lookup, secrets.redactor)
    now = time.time()
    made.statuses[A] = GuestStatus(A, "web", "unknown", "unknown", now - 1e6, why="no route")
    made.tend()
    await made.until(lambda: made.told)
    [told] = made.told
    assert (told.what, told.guest, told.step) == ("alert", A, f"ticket unknown {A}")
    Store.create(wanted.folder).write([], [], [told])  # as the keeper does
    [shown] = told_before.active(wanted.folder)
    assert shown.text.endswith("no route")
    made.statuses[A] = replace(made.statuses[A], why="access denied")
    await made.until(lambda: not made.care._busy)
    made.tend()
    await made.until(lambda: not made.care._busy)
    [shown] = told_before.active(wanted.folder)
    assert shown.text == f"nothing is known of {A} (web): access denied"
    assert made.told == [told]
    await made.care.close()
