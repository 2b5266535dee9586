"""Heals guests that are down: looks, decides, acts, and records each step with its reason."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.app.watching.patient import (
    FullDisks,
    Patient,
    Where,
    answered_since,
)
from phoenix_hypervisor.app.watching.questions import names
from phoenix_hypervisor.app.watching.remedies import Anew, Remedies, named, suspects
from phoenix_hypervisor.app.watching.settling import patience_s
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import PlugsCards, TellsWhoStopped
from phoenix_hypervisor.model.errors import PhoenixError, StackBusy
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.watching import Happening, What
from phoenix_hypervisor.watch.course import recalled
from phoenix_hypervisor.watch.healing import (
    Case,
    Decision,
    Do,
    Leave,
    Wait,
    decide,
    evident,
    in_doubt,
    is_plain,
    taken_away,
)
from phoenix_hypervisor.watch.symptoms import Symptoms

Record = Callable[[Happening], None]
_How = Literal["done", "failed", "left"]
"""How a step went; `left`: it was not begun. One that is only told of counts as done."""
_SOON_S = 2.0
_AGAIN_S = 30.0
"""So long a guest that is left alone is not looked at again, unless its state changes."""
_BUSY_S = 3.0
"""So long nothing is tried while somebody holds the stack."""
_SEEN_S = 5.0
"""So long a guest that was started may be seen as it was before."""
_SET_BACK_S = 1.0
"""A clock that goes back by more was set."""


class Healer:
    """Heals the guests of one folder. It outlives sessions: `use` hands it the next one."""

    def __init__(
        self,
        session: Session,
        anew: Anew,
        record: Record,
        *,
        observe_only: bool = False,
        before: Iterable[Happening] = (),
        clock: Callable[[], float] = time.time,
        fresh: Callable[[Address], GuestStatus | None] | None = None,
    ) -> None:
        """`anew` opens the same folder once more; `before` is what an earlier watcher recorded, the
        newest first. `observe_only`: nothing is done, and what would be is recorded as `held`.
        `fresh` tells how a guest is at this moment; None: nothing is to be begun for it.
        """
        self._record = record
        self._observe_only = observe_only
        self._clock = clock
        self._fresh = fresh
        self._latest = clock()
        guests = session.desired.guests
        policies = {str(one.address): one.heal for one in guests.values()}
        self._patients: dict[Address, Patient] = {}
        for name, course in recalled(before, lambda one: policies.get(one, HealPolicy())).items():
            guest = guests.get(Address(name))
            if guest is not None and course.last is not None:
                course.settles_at = course.last[1] + patience_s(guest, session.desired)
            self._patients[Address(name)] = Patient(course, course.down_since is not None)
        self.use(session, anew)

    def use(self, session: Session, anew: Anew) -> None:
        """From now on with this session, as after a change of the files."""
        self._session = session
        self._remedies = Remedies(session, anew)

    async def consider(self, status: GuestStatus, now: float) -> None:
        """Does what has to be done for a guest now; at most one step, and to its end.

        To be called about once a second for every guest, those that are up as well, and never
        twice at once for the same one. What goes wrong in a step is recorded, not raised.
        """
        guest = self._session.desired.guests.get(status.address)
        if guest is None:
            return
        self._heed_clock()
        patient = self._patient(status)
        if status.health == "up":
            if answered_since(status, patient.doubted):
                self._is_up(patient, guest, now)
        elif status.health == "down":
            patient.recalled = False
            patient.course.down(status.since, guest.heal)
            if patient.course.gave_up is not None:
                patient.heed(status, now)
            where = (status.state, status.change)
            if not patient.rests(where, now):
                decision = await self._decide(patient, guest, status, now)
                await self._follow(decision, patient, guest, status, now)

    async def doubt(self, status: GuestStatus, now: float, *, hurts: bool) -> None:
        """Looks into a guest that counts as up, and mends what is plainly wrong there.

        With `hurts` a check of it hangs, or has failed once: then also what does not run begins
        again, but no guest is restarted. Else only a disk that is full counts, and a card that
        leads nowhere. Never at the same time as `consider`.
        """
        guest = self._session.desired.guests.get(status.address)
        known = (status.state, status.health) == ("running", "up") and not status.planned
        if guest is None or not known or not guest.heal.steps:
            return
        patient = self._patient(status)
        if patient.course.down_since is not None:
            return
        seen = await self._look(patient, guest)
        if seen.taken:
            self._tell_once(patient, guest, taken_away(seen.taken))
        seen = patient.not_in_vain(in_doubt(seen, named(guest), patient.in_vain(now)), now)
        plugs = isinstance(self._session.driver, PlugsCards)
        if not is_plain(seen, hurts=hurts, plugs=plugs):
            return
        patient.course.down(now, guest.heal, real=False)
        decision = evident(
            guest.heal, patient.course, seen, self._clock(), hurts=hurts, plugs=plugs
        )
        if not isinstance(decision, Do):
            patient.course.calm()
            return
        match await self._follow(decision, patient, guest, status, now):
            case "left":
                patient.course.calm()
                return
            case "failed":
                patient.could_not(decision, self._clock())
                patient.doubted = self._clock()
            case "done":  # what did not help is not done again soon
                patient.doubted = self._clock()
                patient.mended(decision, await self._look(patient, guest), self._clock())

    @property
    def full(self) -> dict[Address, FullDisks]:
        """Guests of which a disk took nothing more at the last look, or of which that is not known.

        Those that healing does not look into are not among them.
        """
        if not self._session.driver.has_inside:
            return {}
        found, now = {}, self._clock()
        for address, guest in self._session.desired.guests.items():
            disks = self._patients.get(address, Patient()).disks(now)
            if guest.heal.steps and disks is not None:
                found[address] = disks
        return found

    @property
    def gave_up(self) -> dict[Address, tuple[float, str]]:
        """Guests that are not healed any more: since when, and why."""
        patients = self._patients.items()
        return {address: one.course.gave_up for address, one in patients if one.course.gave_up}

    @property
    def because(self) -> dict[Address, str]:
        """Guests that a step of healing has stopped, or has begun again, with what was wrong."""
        return {
            address: one.because
            for address, one in self._patients.items()
            if one.because and (one.course.ours is not None or one.running)
        }

    def _patient(self, status: GuestStatus) -> Patient:
        patient = self._patients.setdefault(status.address, Patient())
        patient.health, patient.running = status.health, status.state == "running"
        patient.seen_running |= patient.running
        return patient

    def _heed_clock(self) -> None:
        """A clock that was set back holds nothing up for as long."""
        now = self._clock()
        if now < self._latest - _SET_BACK_S:
            for patient in self._patients.values():
                patient.shift(now - self._latest)
        self._latest = now

    async def _look(self, patient: Patient, guest: Guest) -> Symptoms:
        seen = await self._remedies.look(guest, patience_s(guest, self._session.desired))
        patient.found(seen, self._clock())
        if self._session.driver.has_inside and not seen.silent:
            patient.course.ours = None  # it runs: no step of ours has left it stopped
        return seen

    def _is_up(self, patient: Patient, guest: Guest, now: float) -> None:
        patient.still_up()
        helped = patient.course.up(now)
        if patient.recalled:
            patient.recalled = False
            self._tell(guest, "up", "it came up while nobody watched")
        elif helped is not None:
            step, ago = helped
            self._tell(guest, "healed", f"up again {ago:.1f} s after the step began", step)

    async def _decide(
        self, patient: Patient, guest: Guest, status: GuestStatus, now: float
    ) -> Decision:
        looked = None
        if status.state == "running" and guest.heal.steps:
            if now < patient.course.settles_at:
                return Wait(patient.course.settles_at, "the last step is given time")
            looked = await self._look(patient, guest)
        change = status.change
        failing = frozenset(one.check for one in status.answers if one.health == "down")
        checks = names(guest)
        titles = frozenset(checks[name].title for name in failing if name in checks)
        runs_since = change.at if change and change.state == "running" else None
        if runs_since is not None and runs_since > self._clock():
            runs_since = None  # the clock was set back since
        waits_for = tuple(one for one in guest.dependencies if self._is_down(one))
        if waits_for:
            patient.waited_at = self._clock()
        case = Case(
            state=status.state,
            symptoms=looked,
            waits_for=waits_for,
            waited_at=patient.waited_at,
            plugs=isinstance(self._session.driver, PlugsCards),
            patience_s=patience_s(guest, self._session.desired),
            runs_since=runs_since,
            suspects=tuple(suspects(guest, titles)),
        )
        if status.state == "stopped":
            case = await self._with_ending(case, patient, guest, status)
        return decide(guest.heal, patient.course, case, self._clock())

    async def _with_ending(
        self, case: Case, patient: Patient, guest: Guest, status: GuestStatus
    ) -> Case:
        change = status.change
        if status.paused:
            return replace(case, paused=True, who=(change.by if change else None) or "")
        if change is not None and change.state != "running":
            if change.by is None:
                return replace(case, ended="itself")
            return replace(case, ended="somebody", who=change.by, ended_at=change.at)
        driver = self._session.driver
        if patient.seen_running and isinstance(driver, TellsWhoStopped):
            try:
                who = await driver.who_stopped(guest.address)
            except PhoenixError as error:
                why = "; ".join(filter(None, (error.message, error.hint)))
                return replace(case, ended="hidden", hidden=self._session.secrets.redactor(why))
            return replace(case, ended="somebody" if who else "itself", who=who or "")
        return case

    def _is_down(self, address: Address) -> bool:
        other = self._patients.get(address)
        return other is not None and other.health in ("down", "planned")

    async def _follow(
        self, decision: Decision, patient: Patient, guest: Guest, status: GuestStatus, now: float
    ) -> _How:
        where: Where = (status.state, status.change)
        course = patient.course
        if isinstance(decision, Leave) and decision.what == "gave-up":
            self._tell_once(patient, guest, decision)
            course.gave_up = course.gave_up or (self._clock(), decision.why)
            patient.left = where
            patient.quiet(where, decision.until or float("inf"))
            return "left"
        if (
            course.gave_up is not None
            and isinstance(decision, Leave)
            and decision.kind == "stopped"
        ):
            course.taken_over(now)
        course.gave_up = None
        match decision:
            case Wait():
                patient.quiet(where, decision.until)
            case Leave():
                self._tell_once(patient, guest, decision)
                patient.quiet(where, decision.until or now + _AGAIN_S)
            case Do() if self._observe_only:
                why = f"only watching, else `{decision.step}`: {decision.why}"
                held = Leave("held", decision.step, why)
                self._tell_once(patient, guest, held, decision.step)
                patient.quiet(where, now + _AGAIN_S)
                return "done"
            case Do():
                return await self._do(decision, patient, guest, status, now)
        return "left"

    async def _do(
        self, do: Do, patient: Patient, guest: Guest, status: GuestStatus, now: float
    ) -> _How:
        course, began = patient.course, False

        def begins() -> None:
            nonlocal began
            if not self._is_still(status):
                raise _ChangedError
            began = True
            patient.goes_down(do.step, status)
            course.begins(do.step, self._clock())
            self._tell(guest, "heal", do.why, do.step)

        def takes_down() -> None:
            course.ours = do.step

        busy = self._remedies.holds
        try:
            said = await self._remedies.carry_out(do, guest, begins, takes_down)
        except _ChangedError:
            return "left"  # what was decided is out of date
        except PhoenixError as error:
            if not isinstance(error, StackBusy) or began:
                self._failed(do, patient, guest, error, began=began)
                return "failed"
            ours = busy or self._remedies.holds  # then it is healing that holds it
            if status.health == "down" and not ours:
                self._tell_once(patient, guest, Leave("held", "busy", error.message))
            patient.quiet((status.state, status.change), now + _BUSY_S)
            return "left"
        if said:
            self._tell(guest, "heal", f"{do.step}: {said}")
        course.ours = None
        if status.state != "running":
            patient.quiet((status.state, status.change), self._clock() + _SEEN_S)
        soon = do.step in ("room", "plug") or do.wakes
        course.ended(self._clock(), _SOON_S if soon else patience_s(guest, self._session.desired))
        return "done"

    def _failed(
        self, do: Do, patient: Patient, guest: Guest, error: PhoenixError, *, began: bool
    ) -> None:
        if not began:  # it was refused: that counts all the same, and helps nobody
            patient.course.begins(do.step, self._clock())
            patient.course.helped = False
        text = f"{do.step} failed: {self._session.secrets.redactor(error.message)}"
        self._tell(guest, "heal", text)
        patient.course.failed(self._clock(), guest.heal)

    def _is_still(self, status: GuestStatus) -> bool:
        """Whether the guest is as it was when a step was decided on, which may be long ago."""
        if self._fresh is None:
            return True
        fresh = self._fresh(status.address)
        if fresh is None or fresh.planned or fresh.state != status.state:
            return False
        if status.health == "down" and fresh.health != "down":
            return False
        before, after = status.change, fresh.change
        if fresh.state == "running":
            return before == after  # it may have been begun anew
        return (before and before.by) == (after and after.by)

    def _tell_once(self, patient: Patient, guest: Guest, left: Leave, step: str = "") -> None:
        if left.kind not in patient.told:
            patient.told.add(left.kind)
            self._tell(guest, left.what, left.why, step)

    def _tell(self, guest: Guest, what: What, text: str, step: str = "") -> None:
        self._record(Happening(self._clock(), what, guest.address, text, step))


class _ChangedError(Exception):
    """A step is not begun: the guest is another way by now."""
