"""The whole of watching: opens the folder, watches, keeps, heals and tells, until it is ended."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from phoenix_hypervisor.app import metrics
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import files, heartbeat, questions, scraped, systemd
from phoenix_hypervisor.app.watching.care import Care
from phoenix_hypervisor.app.watching.guests import Guests, WasMade
from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.app.watching.monitor import AT_ONCE, Monitor
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.config.load import Loaded
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import PhoenixError, Retryable, Unreachable
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.watching import Happening, What
from phoenix_hypervisor.watch.schedule import Schedule
from phoenix_hypervisor.watch.store import Key

_WRITE_S = 1.0
_HANGS_S = 30.0
"""A write that takes so long is told."""
_CLOSE_S = 10.0
"""So long the end waits for the last write."""
_TICK_S = 1.0
_OPEN_AGAIN_S = 5.0
_SETTLE_S = 120.0
"""So long a change of the files waits for steps of healing that are under way."""
_END_S = 30.0
"""So long the end of watching waits for them."""
_WELL_S = 30.0
"""A watcher that asked nothing for so long, or that late in the last minute, tells nobody that it
is well.
"""
_SHARES = (0.5, 0.9, 0.99)
Open = Callable[[], AbstractAsyncContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Opening:
    """How the folder is opened: a session of it to watch in, `anew` another one beside that, or
    its files alone (`read`), offline. `lookup` gives a secret as it is now, `hide` takes secrets
    out of a text, `was_made` says which guests were there before.
    """

    folder: Path
    session: Open
    anew: Open
    read: Callable[[], Loaded]
    lookup: Callable[[str], str]
    hide: Redactor
    was_made: WasMade | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for on the command line."""

    observe_only: bool = False
    metrics: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """How a watcher did. Lateness in seconds, of the last minutes; None where nothing was asked."""

    guests: int
    checks: int
    answered: int
    late_p50_s: float | None
    late_p99_s: float | None
    late_worst_s: float
    left_out: int

    def as_json(self) -> dict[str, Any]:
        """The last line of `phoenix --json watch`."""
        return {"event": "report"} | asdict(self)


class Watcher:
    """Watches one folder."""

    def __init__(self, opening: Opening, tell: Callable[[Happening], None], wishes: Wishes) -> None:
        """`tell` is told all that happens, as it happens; it must not block."""
        self._opening = opening
        self._tell = tell
        self._wishes = wishes
        self._keeper = Keeper(opening.folder, self._trouble)
        self._guests = Guests(self._keeper, self._record, opening.was_made)
        self._schedule = Schedule[Key](AT_ONCE)
        self._care = Care(
            opening.anew, self._record, self._status, observe_only=wishes.observe_only
        )
        self._metrics = metrics.Metrics(opening.folder, opening.hide)
        self._notify = systemd.Notifier()
        self._desired: Desired | None = None
        self._second = self._wrote = time.monotonic()

    @property
    def summary(self) -> Summary:
        """How it does."""
        late = self._schedule.lateness
        return Summary(
            len(self._guests),
            len(self._schedule),
            self._guests.answers,
            late.percentile_s(0.5),
            late.percentile_s(0.99),
            late.worst_s,
            late.left_out,
        )

    async def run(self) -> None:
        """Watches until it is cancelled. Raises `PhoenixError` where it can't begin."""
        async with scraped.served(self._wishes.metrics, self._exposition):
            sides = (self._write(), self._live(), self._guests.settle())
            side = [asyncio.create_task(one) for one in sides]
            try:
                while True:
                    await self._open_and_watch()
            finally:
                await self._care.close()
                for task in side:
                    task.cancel()
                await asyncio.wait(side)
                self._guests.close()
                if self._desired is not None:
                    self._happened("away", "ceased to watch: what comes now is unknown")
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_S):
                        await self._keeper.close()
                self._metrics.close()

    async def _open_and_watch(self) -> None:
        """Raises `PhoenixError` where the first opening can't be waited for."""
        lost = ""
        while True:
            before = await asyncio.to_thread(files.look, self._opening.folder)
            try:
                async with self._opening.session() as session:
                    await self._watch(session, before)
                    return
            except PhoenixError as error:
                if self._desired is None and not isinstance(error, (Unreachable, Retryable)):
                    raise
                if error.message != lost:
                    self._trouble(error.message)
                    lost = error.message
                await self._wait(error.message)

    async def _wait(self, why: str) -> None:
        """Nothing can be asked for now, which people are told when it lasts."""
        if self._desired is None:
            with suppress(PhoenixError):  # then it is told once the files can be read
                found = await asyncio.to_thread(self._opening.read)
                if found.desired is not None:
                    asked = questions.questions(found.desired, found.desired.watch.interval_s)
                    self._guests.keep(found.desired, asked)
                    self._care.tell(found.desired, self._opening.lookup, self._opening.hide)
        self._guests.lost(why)
        until = time.monotonic() + _OPEN_AGAIN_S
        while time.monotonic() < until:
            self._care.tend(self._guests.statuses())
            await asyncio.sleep(_TICK_S)

    async def _watch(self, session: Session, before: files.Look) -> None:
        """Watches until the files have changed."""
        watch = session.desired.watch
        self._desired = session.desired
        self._care.use(session)
        monitor = Monitor(session, self._guests, self._schedule, self._record, self)
        tasks = [asyncio.create_task(self._changed(before)), asyncio.create_task(monitor.run())]
        if watch.heartbeat is not None:
            url, every_s, lookup = watch.heartbeat, watch.heartbeat_every_s, session.secrets.lookup
            beats = heartbeat.beat(url, every_s, lookup, self._is_well, self._trouble)
            tasks.append(asyncio.create_task(beats))
        self._happened("watching", self._what(session))
        self._notify("READY=1")
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self._happened("watching", "the files have changed: they are read again")
            await self._care.settle(_SETTLE_S)
        except asyncio.CancelledError:
            self._notify("STOPPING=1")
            raise
        finally:
            for task in tasks:
                task.cancel()
            await self._care.settle(_END_S)  # while the driver is open
            await asyncio.wait(tasks)

    async def _changed(self, before: files.Look) -> None:
        """Until the files have changed and can be opened: else they stay in use as they were."""
        opening, told = self._opening, ""
        await files.changed(opening.folder, before, opening.read, self._trouble)
        while True:
            try:
                async with opening.anew():
                    return
            except PhoenixError as error:
                if error.message != told:
                    told = error.message
                    self._trouble(
                        f"the files were changed, and can't be opened: {told}. It is watched as "
                        "they were before"
                    )
            await asyncio.sleep(_OPEN_AGAIN_S)

    # What the monitor tells.

    def every_second(self) -> None:
        """Looks after all guests."""
        self._second = time.monotonic()
        self._care.tend(self._guests.statuses())

    def changed(self, address: Address) -> None:
        """Looks after one at once."""
        self._care.attend(address)

    def doubt(self, address: Address, *, hurts: bool) -> None:
        """Has a look into one that counts as up."""
        self._care.doubt(address, hurts=hurts)

    def _status(self, address: Address) -> GuestStatus | None:
        return self._guests.status(address) if address in self._guests else None

    def _is_well(self) -> bool:
        now = time.monotonic()
        late = self._schedule.lately.percentile_s(0.99, now)
        return now - self._second < _WELL_S and (late is None or late < _WELL_S)

    async def _write(self) -> None:
        """Whatever happens to a write, there is a next one."""
        broken = ""
        while True:
            await asyncio.sleep(_WRITE_S)
            try:
                await self._keeper.write()
            except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
                kind = type(error).__name__
                if kind != broken:
                    broken = kind
                    self._trouble(f"writing broke, by an unexpected {kind}: this is a bug")
            self._wrote = time.monotonic()

    async def _live(self) -> None:
        """Feeds systemd's watchdog while the event loop runs: a disk that hangs is only told."""
        hangs = False
        while True:
            self._notify.alive()
            late = time.monotonic() - self._wrote
            if late > _HANGS_S and not hangs:
                self._trouble(f"measurements are not written since {late:.0f} s: the disk hangs")
            hangs = late > _HANGS_S
            await asyncio.sleep(_TICK_S)

    def _exposition(self, accept: str) -> Callable[[], metrics.Exposition] | None:
        if self._desired is None:
            return None
        late = self._schedule.lateness
        shares = [(share, late.percentile_s(share)) for share in _SHARES]
        seen = metrics.Watcher(
            statuses=self._guests.statuses(),
            lateness=tuple((share, found) for share, found in shares if found is not None),
            left_out=late.left_out,
            answered=self._guests.answers,
            checks=len(self._schedule),
            writes=not self._keeper.trouble,
        )
        return partial(self._metrics.exposition, self._desired, accept, seen)

    @staticmethod
    def _what(session: Session) -> str:
        guests = [guest for guest in session.desired.guests.values() if guest.runs]
        checks = sum(len(guest.checks) for guest in guests)
        told = f"{_counted(len(guests), 'guest')} with {_counted(checks, 'check')}"
        return f"{told}, on {session.driver.name}"

    def _happened(self, what: What, text: str) -> None:
        self._record(Happening(time.time(), what, "", text))

    def _trouble(self, text: str) -> None:
        self._happened("trouble", text)

    def _record(self, happening: Happening) -> None:
        self._keeper.happened(happening)
        self._tell(happening)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("s" if number != 1 else "")
