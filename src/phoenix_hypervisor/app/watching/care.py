"""What is done about how guests are: they are healed, and people are told."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from phoenix_hypervisor.app.notifying import notifiers
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import told_before
from phoenix_hypervisor.app.watching.alerts import Alerts
from phoenix_hypervisor.app.watching.aside import Aside
from phoenix_hypervisor.app.watching.conditions import Conditions, Healing
from phoenix_hypervisor.app.watching.guests import Record
from phoenix_hypervisor.app.watching.healer import Healer
from phoenix_hypervisor.app.watching.remedies import Anew
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.course import TELLING
from phoenix_hypervisor.watch.store import Reader

_RECALLED_S = 30 * 86400.0
_STEPS = 20_000
"""What an earlier watcher did is recalled of so long, and of no more than so many happenings."""
_ALERTING = "alerts"
_MEASURING = "budgets"
_KEEP_S = 10.0
"""So long it is waited until the list of alerts is written."""
_LOOK_EVERY_S = 20.0
_LOOK_PAUSE_S = 0.5
"""Each guest is looked into that often; where there are many, one in so many seconds."""
_DOUBT_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Telling:
    alerts: Alerts
    conditions: Conditions
    folder: Path


@dataclass(frozen=True, slots=True)
class _Means:
    healer: Healer
    hands: asyncio.Semaphore
    """How many guests are healed at once."""


class Care:
    """Healing and alerts of one folder. It outlives sessions."""

    def __init__(
        self,
        anew: Anew,
        record: Record,
        status: Callable[[Address], GuestStatus | None],
        *,
        observe_only: bool,
    ) -> None:
        """`anew` opens the folder once more. `status` tells how a guest is now; None where it is
        not watched.
        """
        self._anew = anew
        self._record = record
        self._status = status
        self._observe_only = observe_only
        self._telling: _Telling | None = None
        self._means: _Means | None = None
        self._rests = True
        self._busy: dict[Address | str, asyncio.Task[None]] = {}
        self._bugs: set[str] = set()
        self._aside = Aside(_KEEP_S)
        self._words: dict[str, tuple[str, bool]] = {}
        self._doubts: dict[Address, bool] = {}
        self._looked: dict[Address, float] = {}
        self._doubted: dict[tuple[Address, bool], float] = {}

    def use(self, session: Session) -> None:
        """From now on with this session."""
        self.tell(session.desired, session.secrets.lookup, session.secrets.redactor)
        if self._means is None:
            healer = Healer(
                session,
                self._anew,
                self._record,
                observe_only=self._observe_only,
                before=_recalled(session.desired.folder, time.time() - _RECALLED_S),
                fresh=self._fresh,
            )
        else:
            healer = self._means.healer
            healer.use(session, self._anew)
        self._means = _Means(healer, asyncio.Semaphore(session.driver.limits.parallel))
        self._rests = False

    def tell(self, desired: Desired, lookup: Callable[[str], str], redactor: Redactor) -> None:
        """From now on people are told of these guests; nothing is healed before `use`."""
        words = desired.watch.alerts
        targets = notifiers(words, lookup, redactor)
        if self._telling is None:
            alerts = Alerts(desired.stack, words, targets, self._record)
            with suppress(DataUnreadable):  # then what is still wrong is told again
                alerts.restore(told_before.told(desired.folder))
            self._telling = _Telling(alerts, Conditions(desired), desired.folder)
        else:
            self._telling.alerts.configure(words, targets)
            self._telling.conditions.use(desired)

    def tend(self, statuses: Sequence[GuestStatus]) -> None:
        """Looks at all guests; for once a second. What takes time goes on by itself."""
        if self._telling is None:
            return
        now = time.time()
        pause = max(_LOOK_EVERY_S, _LOOK_PAUSE_S * len(statuses))
        for status in statuses:
            address = status.address
            looked = self._looked.setdefault(address, now - pause * _share(address))
            if not 0 <= now - looked < pause:
                self._looked[address] = now
                self._doubts.setdefault(address, False)
            self.attend(address)
        self._begin(_ALERTING, self._tell(self._telling, statuses, now))
        self._begin(_MEASURING, self._measure(self._telling, now))

    def attend(self, address: Address) -> None:
        """Looks after one guest."""
        if self._means is not None and not self._rests:
            self._begin(address, self._heal(self._means, address))

    def doubt(self, address: Address, *, hurts: bool) -> None:
        """A check of it hangs, or has failed once (`hurts`), or it is not heard any more: it is
        looked into, but not again and again.
        """
        now = time.time()
        if not 0 <= now - self._doubted.get((address, hurts), 0.0) < _DOUBT_EVERY_S:
            self._doubted[address, hurts] = now
            self._doubts[address] = hurts or self._doubts.get(address, False)
            self.attend(address)

    async def settle(self, limit_s: float) -> None:
        """Begins nothing more until `use`, and waits for steps of healing that are under way, but
        not for ever: a guest must not be left stopped in a restart.
        """
        self._rests = True
        healing = [task for key, task in self._busy.items() if key not in (_ALERTING, _MEASURING)]
        if healing:
            await asyncio.wait(healing, timeout=limit_s)

    async def close(self) -> None:
        """Ends what is under way, and sends what waits to be told."""
        self._rests = True
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._telling is not None:
            await self._telling.alerts.close()

    def _fresh(self, address: Address) -> GuestStatus | None:
        """How a guest is now; None where nothing is to be begun."""
        return None if self._rests else self._status(address)

    def _begin(self, key: Address | str, work: Coroutine[Any, Any, None]) -> None:
        """Never twice at once for the same."""
        if key in self._busy:
            work.close()
            return
        task = self._busy[key] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._busy.pop(key, None))

    async def _heal(self, means: _Means, address: Address) -> None:
        """When the hypervisor is back after hours, not all guests are started at once. How a guest
        is may be another matter when its turn comes, and once a step has been done.
        """
        hurts = self._doubts.pop(address, None)
        try:
            status = self._fresh(address)
            ill = status is not None and status.health == "down"
            async with means.hands if ill or hurts else nullcontext():
                if (status := self._fresh(address)) is not None:
                    await means.healer.consider(status, time.time())
                if hurts is not None and (status := self._fresh(address)) is not None:
                    await means.healer.doubt(status, time.time(), hurts=hurts)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
            self._bug("healing", error)

    async def _tell(self, telling: _Telling, statuses: Sequence[GuestStatus], now: float) -> None:
        try:
            healing = None
            if self._means is not None:
                healer = self._means.healer
                healing = Healing(healer.full, healer.gave_up, healer.because)
            wrong = telling.conditions.now(statuses, now, healing)
            await telling.alerts.update(wrong, now)
            lasting = telling.alerts.active
            untold = telling.alerts.untold
            words = {one.key: (one.text, one.key in untold) for one in lasting}
            if words != self._words:
                with suppress(TimeoutError):  # a disk that hangs: it is written later
                    await self._aside(partial(told_before.keep, telling.folder, lasting, untold))
                    self._words = words
        except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
            self._bug("alerting", error)

    async def _measure(self, telling: _Telling, now: float) -> None:
        try:
            await telling.conditions.measure(now)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
            self._bug("measuring", error)

    def _bug(self, what: str, error: Exception) -> None:
        kind = f"{what} broke, by an unexpected {type(error).__name__}"
        if kind not in self._bugs:
            self._bugs.add(kind)
            text = f"{kind}: this is a bug; please report it"
            self._record(Happening(time.time(), "trouble", "", text))


def _share(address: Address) -> float:
    """Between 0 and 1, always the same: not all are looked into at once."""
    return crc32(address.encode()) / 2**32


def _recalled(folder: Path, since: float) -> list[Happening]:
    """What an earlier watcher did, the newest first; nothing where that can't be read."""
    with suppress(DataUnreadable, sqlite3.Error):
        reader = Reader.open(folder)
        if reader is not None:
            try:
                return reader.happenings(since=since, limit=_STEPS, what=TELLING)
            finally:
                reader.close()
    return []
