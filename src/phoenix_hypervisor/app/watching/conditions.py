"""What is wrong now, as alerts take it: guests that are down or unseen, healing that gave up, and
budgets that burn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from phoenix_hypervisor.app import objectives
from phoenix_hypervisor.app.objectives import Objective
from phoenix_hypervisor.app.watching.aside import Aside
from phoenix_hypervisor.app.watching.causes import Cause, Causes, asked_by, named
from phoenix_hypervisor.app.watching.patient import FullDisks
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watch import AlertWords
from phoenix_hypervisor.watch.alerting import Condition, lasted
from phoenix_hypervisor.watch.judge import UNANSWERED
from phoenix_hypervisor.watch.slo import BURN_RULES, WINDOWS

_BUDGETS_S = 60.0
_READ_S = 30.0
"""A look at the budgets that takes longer says nothing of them."""
_LATELY = {"1h": WINDOWS["1h"]}
_ANSWERS = 20
"""Of fewer answers one slow one would be too many."""
_SHORT_S = min(rule.short_s for rule in BURN_RULES)


@dataclass(frozen=True, slots=True)
class Healing:
    """What healing tells: guests with full disks, such that it gave up, since when and why, and
    such that it has stopped or begun again, with what was wrong (`because`).
    """

    full: Mapping[Address, FullDisks]
    gave_up: Mapping[Address, tuple[float, str]]
    because: Mapping[Address, str] = field(default_factory=dict)


class Conditions:
    """All that is wrong with a stack. It outlives sessions."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._budgets: list[Condition] | None = None
        self._budgets_at = float("-inf")
        self._aside = Aside(_READ_S)
        self._causes = Causes()

    def use(self, desired: Desired) -> None:
        """The files have changed."""
        self._desired = desired
        self._budgets_at = float("-inf")

    async def measure(self, now: float) -> None:
        """Looks at the budgets, once a minute. What can't be read, or hangs, is not sure."""
        if abs(now - self._budgets_at) < _BUDGETS_S:
            return
        self._budgets_at = now
        try:
            found = await self._aside(partial(objectives.measured, self._desired, now, _LATELY))
        except (DataUnreadable, TimeoutError):
            self._budgets = None
        else:
            self._budgets = [
                one for each in found for one in (*of_budget(each, now), *of_latency(each, now))
            ]

    def now(
        self, statuses: Sequence[GuestStatus], now: float, healing: Healing | None
    ) -> list[Condition]:
        """At this moment (Unix time), with the budgets as they were last measured; `healing` is
        None where nothing is healed yet. Of one that is not made nothing is wrong.
        """
        missing = {status.address for status in statuses if not status.made}
        alerts = self._desired.watch.alerts
        because = healing.because if healing is not None else {}
        causes = self._causes.now(self._desired, statuses, because, now)
        guests = [
            one
            for status in statuses
            for one in of_guest(
                status, alerts, now, because.get(status.address, ""), causes.get(status.address)
            )
        ]
        healed = [one for status in statuses for one in of_healing(status, healing, now)]
        budgets = self._unsure(now) if self._budgets is None else self._budgets
        budgets = [
            replace(one, severity="ticket")
            if one.guest and self._causes.is_known(one.guest, now)
            else one
            for one in budgets
        ]
        return [one for one in (*guests, *healed, *budgets) if one.guest not in missing]

    def _unsure(self, now: float) -> list[Condition]:
        found = []
        for one in self._desired.guests.values():
            slo = one.slo if one.runs else None
            if slo and slo.availability is not None:
                found.append(_unsure_budget(one.address, one.name, now))
            if slo and slo.latency_p95_ms is not None:
                found.append(_unsure_latency(one.address, one.name, now))
        return found


def of_guest(
    status: GuestStatus,
    alerts: AlertWords,
    now: float,
    because: str = "",
    cause: Cause | None = None,
) -> Iterator[Condition]:
    """Whether it is down, or nothing is known of it, for longer than is borne. One that was never
    made is not missed.

    `because`: what was wrong before healing stopped it; who did that is healing then. `cause`: that
    something which it depends on is down.
    """
    if status.health == "up" or not status.made:
        return
    name = named(status.address, status.name)
    for_s = now - status.since
    down = status.health == "down" and for_s >= alerts.after_s
    by = asked_by(status, because)
    healed = because and (status.state != "running" or status.why == UNANSWERED)
    text = f"{name} is down: {because if healed else status.why}"
    if by or cause:
        text += f" ({f'{by} asked for it' if by else cause.text if cause else ''})"
    yield Condition(
        f"down {status.address}",
        "ticket" if by or (cause and cause.known) else "page",  # somebody knows of it already
        status.address,
        status.since,
        text,
        down,
    )
    if status.health != "down":
        unknown = status.health == "unknown" and for_s >= alerts.unknown_s
        yield Condition(
            f"unknown {status.address}",
            "ticket",
            status.address,
            status.since,
            f"nothing is known of {name}: {status.why}",
            unknown,
        )


def of_healing(status: GuestStatus, healing: Healing | None, now: float) -> Iterator[Condition]:
    """Whether healing gave it up, and whether its disks take nothing more: that ends badly, if not
    at once.
    """
    address, name = status.address, named(status.address, status.name)
    full: FullDisks | None = FullDisks(now, sure=False)
    gave_up: tuple[float, str] | None = (now, "")
    if healing is not None:
        full, gave_up = healing.full.get(address), healing.gave_up.get(address)
    if gave_up is not None and status.health != "up":
        sure = healing is not None and status.health == "down"
        text = f"{name} is not healed any more: {gave_up[1]}"
        yield Condition(f"gave-up {address}", "page", address, gave_up[0], text, sure)
    if full is not None:
        text = f"the disk of {name} takes nothing more: {', '.join(full.folders)}"
        yield Condition(f"full {address}", "page", address, full.since, text, full.sure)


def of_budget(found: Objective, now: float) -> Iterator[Condition]:
    """Whether its budget burns; not sure where too little of the last minutes is known."""
    if found.slo.availability is None:
        return
    name = named(found.guest, found.name)
    if found.burning is not None:
        rule = found.burning.rule
        text = (
            f"{name} uses up its error budget of {found.slo.availability:g} % too fast: "
            f"{found.burning.rate:.1f} times as fast as allowed in the last {lasted(rule.long_s)}"
        )
        yield Condition(f"budget {found.guest}", rule.severity, found.guest, now, text)
    elif found.lately_known_s < _SHORT_S / 2:
        yield _unsure_budget(found.guest, found.name, now)


def of_latency(found: Objective, now: float) -> Iterator[Condition]:
    """Whether too many answers of the last hour were slow; not sure where they were few."""
    promised_ms, kept = found.slo.latency_p95_ms, found.windows.get("1h")
    if promised_ms is None or kept is None:
        return
    unsure = _unsure_latency(found.guest, found.name, now)
    if kept.answers < _ANSWERS:
        yield unsure
    elif kept.in_time is False:
        share = kept.slow / kept.answers
        text = f"{share:.0%} of its answers of the last hour took more than {promised_ms:g} ms"
        yield replace(unsure, text=f"{unsure.text}: {text}", sure=True)


def _unsure_latency(guest: Address, name: str, now: float) -> Condition:
    text = f"{named(guest, name)} answers slower than promised"
    return Condition(f"slow {guest}", "ticket", guest, now, text, sure=False)


def _unsure_budget(guest: Address, name: str, now: float) -> Condition:
    text = f"{named(guest, name)} uses up its error budget too fast"
    return Condition(f"budget {guest}", "ticket", guest, now, text, sure=False)
