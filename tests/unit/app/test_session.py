"""What a session does around the walk: left-overs before it, checks after it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.plan.worlds import TCP, desired, plain

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import BrokenOff, Tell
from phoenix_hypervisor.model.event import Event
from phoenix_hypervisor.plan.options import Options


class Here(WithInside):
    async def way_in(self, address: Address) -> Sequence[str]:
        return ["sh"]


async def session_of(folder: Path) -> Session:
    wanted = desired(*(plain(number, checks=TCP) for number in (101, 102)), folder=folder)
    node = Node(wanted, driver_type=Here)
    session = Session(wanted, node.driver(), Secrets(folder, {}), ())
    await node.walk(await node.plan(fingerprints=session._fingerprints()))
    return session


async def test_an_interrupted_look_at_the_end_waits_for_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = asyncio.Semaphore(0), list[Address]()

    async def wait(_session: Session, guest: Guest, _tell: Tell) -> None:
        begun.release()
        try:
            await asyncio.sleep(30)
        finally:  # the second one has more to tidy up
            await asyncio.sleep(0.2 if guest.address == lxc(102) else 0)
            ended.append(guest.address)

    monkeypatch.setattr(Session, "_wait", wait)
    session = await session_of(tmp_path)
    plan, observed = await session.plan(Options())
    assert plan.changes == ()
    task = asyncio.create_task(session.apply(plan, observed, lambda event: None))
    for _ in range(2):
        await begun.acquire()
    task.cancel()
    report = await task
    assert (report.ok, report.interrupted) == (False, True)
    assert ended == [lxc(101), lxc(102)]


async def test_it_tells_that_it_looks_for_left_overs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(_session: Session, _guest: Guest, _tell: Tell) -> None:
        assert session.held.begun

    monkeypatch.setattr(Session, "_wait", wait)
    session = await session_of(tmp_path)
    session.held.broken_off.append(BrokenOff("a-killed-run", "ada"))
    plan, observed = await session.plan(Options())
    events: list[Event] = []
    assert not session.held.begun
    assert (await session.apply(plan, observed, events.append)).ok
    told = [(e.address, e.event) for e in events if e.step == "leftovers"]
    assert sorted(told) == [
        (lxc(number), kind) for number in (101, 102) for kind in ("finished", "progress")
    ]
    assert session.broken_off == []
