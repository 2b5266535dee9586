"""Watches one session's guests: asks their checks in turn, hears the hypervisor, and judges."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from phoenix_hypervisor.app import hiding
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching import questions as asking
from phoenix_hypervisor.app.watching.applies import Applies
from phoenix_hypervisor.app.watching.aside import Aside
from phoenix_hypervisor.app.watching.guests import Guests, Record
from phoenix_hypervisor.app.watching.lookout import Lookout
from phoenix_hypervisor.app.watching.places import Places
from phoenix_hypervisor.app.watching.questions import Question
from phoenix_hypervisor.app.watching.reach import Reach
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Outcome, Place
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.watching import GuestChanged, Happening
from phoenix_hypervisor.watch.judge import Said
from phoenix_hypervisor.watch.maintenance import Calendar
from phoenix_hypervisor.watch.schedule import Schedule
from phoenix_hypervisor.watch.store import Key

AT_ONCE = 200
"""Questions under way at once, at most."""
_CONFIRM_S = 0.5
_FAILING_S = 1.0
_OFTEN_S = 60.0
"""So long a failing check is asked every second; the end of a longer failure is seen later."""
_SELDOM_S = 5.0
_AGAIN_PER_S = 200.0
"""So many of those that fail are asked again in a second, at most."""
_TICK_S = 1.0
_HISTORY_S = 3.0
"""So long it is waited for what runs change just now; then that is as it was."""
_CONFIRMED = 2
_HANGS_S = 1.0
_USUALLY = 3.0
"""A question hangs when it takes so many times as long as the last time, and longer than that."""


class Cares(Protocol):
    """Who does something about how guests are. None of these may block."""

    def every_second(self) -> None:
        """Called about so often."""

    def changed(self, address: Address) -> None:
        """The hypervisor told that this one begins or ceases to run."""

    def doubt(self, address: Address, *, hurts: bool) -> None:
        """A check of it hangs, or has failed for the first time (`hurts`), or it is not heard."""


class Monitor:
    """One session, watched. `guests` and `schedule` outlive it."""

    def __init__(
        self,
        session: Session,
        guests: Guests,
        schedule: Schedule[Key],
        record: Record,
        cares: Cares,
    ) -> None:
        self._session = session
        self._desired = session.desired
        self._guests = guests
        self._schedule = schedule
        self._record = record
        self._cares = cares
        self._questions = asking.questions(session.desired, session.desired.watch.interval_s)
        self._places = Places(session)
        hosts = {
            one.address: one.ip for one in self._desired.guests.values() if one.ip and one.runs
        }
        self._reach = Reach(hosts, self._runs, partial(cares.doubt, hurts=False))
        self._lookout = Lookout(session, self)
        self._applies = Applies(session.desired.folder)
        self._aside = Aside(_HISTORY_S)
        self._in_turn = asyncio.Lock()
        self._changing: Mapping[Address, str] = {}
        self._calendar = Calendar(session.desired.watch.maintenance)
        self._group = asyncio.TaskGroup()
        self._timer: asyncio.TimerHandle | None = None
        self._ends = False
        self._heard: dict[Address, float] = {}
        self._failing: set[Key] = set()
        self._broken: set[tuple[Key, str]] = set()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        loop = asyncio.get_running_loop()
        for address in self._desired.guests:
            self._session.hiding(address)  # from here on also what stands in the files is hidden
        self._guests.keep(self._desired, self._questions)
        self._schedule.keep(
            ((key, one.every_s) for key, one in self._questions.items()), loop.time()
        )
        try:
            async with self._group:
                self._group.create_task(self._lookout.run())
                if self._session.driver.has_inside:
                    self._group.create_task(self._reach.run())
                self._ask_those_due()
                try:
                    while True:
                        await self._plan()
                        self._cares.every_second()
                        await asyncio.sleep(_TICK_S)
                finally:
                    self._ends = True
                    if self._timer is not None:
                        self._timer.cancel()
        finally:
            self._schedule.abandon(loop.time())
            await self._places.close()

    # What the hypervisor says.

    async def looked(self, observed: Observed, began: float) -> None:
        """A look; of guests that an event has told of since it began, the event counts."""
        await self._plan()
        newer = frozenset(address for address, at in self._heard.items() if at >= began)
        self._guests.looked(observed, self._desired.stack, newer)

    async def changed(self, change: GuestChanged) -> None:
        """An event. A guest that begins to run is asked at once, by new ways in."""
        now = asyncio.get_running_loop().time()
        self._heard[change.address] = now
        await self._plan()
        if not self._guests.changed(change) or self._ends:
            return
        self._cares.changed(change.address)
        self._group.create_task(self._places.drop(change.address))
        if change.state == "running":
            for key in self._questions:
                if key[0] == change.address:
                    self._schedule.at_once(key, now)
            self._ask_those_due()

    def lost(self, why: str) -> None:
        """The hypervisor can't be asked."""
        self._guests.lost(why)

    def troubled(self, text: str) -> None:
        """Looking itself is hindered."""
        self._record(Happening(time.time(), "trouble", "", text))

    def _hurts(self, address: Address) -> None:
        self._cares.doubt(address, hurts=True)

    def _runs(self, address: Address) -> bool:
        return self._guests.judge(address).state == "running"

    async def _plan(self) -> None:
        """Whoever calls it first goes on first: what is seen is told in its order."""
        async with self._in_turn:
            with suppress(TimeoutError):  # a disk that hangs
                self._changing = await self._aside(self._applies.now)
        now = time.time()
        planned = {
            address: why
            for address in self._desired.guests
            if (why := self._calendar.planned(now, address))
        }
        self._guests.plan({**planned, **self._changing})

    # What the checks say.

    def _ask_those_due(self) -> None:
        if self._ends:
            return
        now = asyncio.get_running_loop().time()
        for key in self._schedule.take(now):
            question = self._questions[key]
            if self._guests.can_ask(question):
                self._group.create_task(self._ask(question))
            else:
                self._schedule.answered(key, now)
        self._wake_again(now)

    def _wake_again(self, now: float) -> None:
        following = self._schedule.next_s(now)
        if following is None:
            return
        if self._timer is not None:
            if not self._timer.cancelled() and now < self._timer.when() <= now + following:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(now + following, self._ask_those_due)

    async def _ask(self, question: Question) -> None:
        again_s: float | None = None
        loop = asyncio.get_running_loop()
        try:
            said, outcome, asked = await self._answer(question)
            outcome = hiding.outcome(outcome, self._session.secrets.redactor)
            self._guests.answered(question, said, outcome, asked)
            again_s = self._again_s(question)
            if self._guests.judge(question.guest).failures(question.name) == 1:
                self._hurts(question.guest)
        finally:
            self._schedule.answered(question.key, loop.time(), again_s)
        self._ask_those_due()

    def _hangs_s(self, question: Question) -> float:
        """How long it may take before something may be wrong."""
        return max(_HANGS_S, _USUALLY * self._guests.judge(question.guest).took_s(question.name))

    async def _answer(self, question: Question) -> tuple[Said, Outcome, float]:
        """What it says, and when it was asked: once it has its place, which may be waited for."""
        guest = self._desired.guests[question.guest]
        by_way_in, asked = question.check.source == "inside", time.time()
        try:
            async with self._places.at(guest, question.check) as place:
                asked = time.time()
                outcome = await self._ask_at(question, place)
                if not outcome.ok and guest.ip is None:
                    with suppress(PhoenixError):
                        await place.refresh()
        except PhoenixError as error:  # where it is could not be asked
            outcome, by_way_in = Outcome(False, error.message), True
        except Exception as error:  # noqa: BLE001 - a bug of one check costs that check alone
            return "unknown", self._told(question, error), asked
        if outcome.ok or outcome.late:  # how late is a matter of latency, not of availability
            return "up", outcome, asked
        if self._guests.judge(question.guest).failures(question.name) >= _CONFIRMED:
            return "down", outcome, asked
        if by_way_in and not await self._lookout.look_now():
            return "unknown", outcome, asked  # the way in is lost: that says nothing of the guest
        if not self._lookout.listens:
            self._lookout.look_soon()
        return "down", outcome, asked

    async def _ask_at(self, question: Question, place: Place) -> Outcome:
        loop = asyncio.get_running_loop()
        hangs = loop.call_later(self._hangs_s(question), self._hurts, question.guest)
        try:
            return await asking.ask(question, place, real=self._session.driver.has_inside)
        finally:
            hangs.cancel()

    def _told(self, question: Question, error: Exception) -> Outcome:
        kind = type(error).__name__
        said = f"the check itself broke, by an unexpected {kind}: this is a bug"
        if (question.key, kind) not in self._broken:
            self._broken.add((question.key, kind))
            text = f"{question.name}: {said}; please report it: {error}"
            text = self._session.secrets.redactor(text)
            self._record(Happening(time.time(), "trouble", question.guest, text))
        return Outcome(False, said)

    def _again_s(self, question: Question) -> float | None:
        """When one that fails is asked again; where very many do, not all of them so soon."""
        judge = self._guests.judge(question.guest)
        failures = judge.failures(question.name)
        if not failures:
            self._failing.discard(question.key)
            return None
        self._failing.add(question.key)
        if failures < _CONFIRMED:
            usual = _CONFIRM_S
        else:
            lasts = judge.failing_s(question.name, time.time()) > _OFTEN_S
            usual = _SELDOM_S if lasts else _FAILING_S
        return max(usual, len(self._failing) / _AGAIN_PER_S)
