"""A watcher small enough to be read at a glance, for tests of healing on real containers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from phoenix_hypervisor.app import opening
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.driver import TellsChanges
from phoenix_hypervisor.model.watching import Answer, GuestChanged, Happening, Health
from phoenix_hypervisor.verify import run as verify
from phoenix_hypervisor.verify.place import GuestPlace

_TICK_S = 0.2


class Watch:
    """Knows the guests of a session by events and checks, and hands them to a healer."""

    def __init__(self, session: Session, *, folder: Path, observe_only: bool = False) -> None:
        self.session = session
        self.happened: list[Happening] = []
        self._news = asyncio.Event()
        self._busy: dict[Address, asyncio.Task[None]] = {}
        self.healer = Healer(
            session,
            lambda: opening.session(folder, "incus", {}),
            self._record,
            observe_only=observe_only,
        )
        now = time.time()
        self.statuses = {
            guest.address: GuestStatus(guest.address, guest.name, "running", "unknown", now)
            for guest in session.desired.guests.values()
        }

    def _record(self, happening: Happening) -> None:
        self.happened.append(happening)
        self._news.set()

    def told(self, address: Address) -> list[tuple[str, str]]:
        """What happened to a guest, and by which step."""
        return [(one.what, one.step) for one in self.happened if one.guest == address]

    async def until(self, address: Address, what: str, step: str, limit_s: float = 60) -> Happening:
        """Waits until this happens to a guest; what is told counts only once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while True:
                    for one in self.happened:
                        if (one.guest, one.what, one.step) == (address, what, step):
                            self.happened.remove(one)
                            return one
                    self._news.clear()
                    await self._news.wait()
        pytest.fail(f"no {what} {step} of {address}: {self.statuses[address]} {self.happened}")

    async def until_up(self, address: Address, limit_s: float = 60) -> None:
        """Waits until a guest's checks pass."""
        async with asyncio.timeout(limit_s):
            while self.statuses[address].health != "up":
                self._news.clear()
                await self._news.wait()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            for address in self.statuses:
                group.create_task(self._ask(address))

    async def rest(self) -> None:
        """Waits until all steps under way have come to their end."""
        await asyncio.gather(*self._busy.values())

    async def _listen(self) -> None:
        driver = self.session.driver
        assert isinstance(driver, TellsChanges)
        async for change in driver.changes():
            if isinstance(change, GuestChanged) and change.address in self.statuses:
                before = self.statuses[change.address]
                self.statuses[change.address] = replace(before, state=change.state, change=change)
                if change.state != "running":
                    await self._judge(change.address, "down", ())

    async def _ask(self, address: Address) -> None:
        guest, failures = self.session.desired.guests[address], 0
        while True:
            answers: list[Answer] = []
            if self.statuses[address].state == "running":
                async with GuestPlace(self.session.driver, address, str, ip=guest.ip) as place:
                    for check, outcome in await verify.ask(guest.checks, place):
                        said: Health = "up" if outcome.ok else "down"
                        message = outcome.message
                        answers.append(
                            Answer(address, check.title, check.kind, time.time(), said, message)
                        )
            stopped = self.statuses[address].state != "running"
            failures = failures + 1 if any(one.health == "down" for one in answers) else 0
            if failures != 1:
                health: Health = "down" if stopped or failures else "up"
                await self._judge(address, health, tuple(answers))
            await asyncio.sleep(_TICK_S)

    async def _judge(self, address: Address, health: Health, answers: tuple[Answer, ...]) -> None:
        now, before = time.time(), self.statuses[address]
        since = before.since if before.health == health else now
        self.statuses[address] = replace(before, health=health, since=since, answers=answers)
        self._news.set()
        if address not in self._busy:
            step = asyncio.create_task(self.healer.consider(self.statuses[address], now))
            self._busy[address] = step
            step.add_done_callback(lambda _: self._busy.pop(address))


@asynccontextmanager
async def watching(folder: Path, *, observe_only: bool = False) -> AsyncIterator[Watch]:
    """A folder on Incus, watched; ends with all steps done."""
    async with opening.session(folder, "incus", {}) as session:
        watch = Watch(session, folder=folder, observe_only=observe_only)
        task = asyncio.create_task(watch.run())
        try:
            for address in watch.statuses:
                await watch.until_up(address)
            yield watch
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await watch.rest()
