"""What is wrong now, as alerts take it: guests that are down or unseen, healing that gave up, and
budgets that burn.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from phoenix_hypervisor.app import objectives
from phoenix_hypervisor.app.objectives import Objective
from phoenix_hypervisor.app.watching.patient import FullDisks
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watch import AlertWords
from phoenix_hypervisor.watch.alerting import Condition, lasted
from phoenix_hypervisor.watch.judge import UNANSWERED
from phoenix_hypervisor.watch.slo import BURN_RULES

_BUDGETS_S = 60.0
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
        self._budgets: list[Condition] = []
        self._budgets_at = float("-inf")

    def use(self, desired: Desired) -> None:
        """The files have changed."""
        self._desired = desired
        self._budgets_at = float("-inf")

    async def now(
        self, statuses: Sequence[GuestStatus], now: float, healing: Healing | None
    ) -> list[Condition]:
        """At this moment (Unix time); `healing` is None where nothing is healed yet.

        Never raises: what can't be read is not sure.
        """
        if abs(now - self._budgets_at) >= _BUDGETS_S:
            self._budgets_at = now
            self._budgets = await asyncio.to_thread(self._read_budgets, now)
        alerts = self._desired.watch.alerts
        because = healing.because if healing is not None else {}
        guests = [
            one
            for status in statuses
            for one in of_guest(status, alerts, now, because.get(status.address, ""))
        ]
        healed = [one for status in statuses for one in of_healing(status, healing, now)]
        return [*guests, *healed, *self._budgets]

    def _read_budgets(self, now: float) -> list[Condition]:
        try:
            found = objectives.measured(self._desired, now, {})
        except DataUnreadable:
            guests = [one for one in self._desired.guests.values() if one.runs]
            promised = [one for one in guests if one.slo and one.slo.availability is not None]
            return [_unsure_budget(one.address, one.name, now) for one in promised]
        return [one for each in found for one in of_budget(each, now)]


def of_guest(
    status: GuestStatus, alerts: AlertWords, now: float, because: str = ""
) -> Iterator[Condition]:
    """Whether it is down, or nothing is known of it, for longer than is borne. One that was never
    made is not missed.

    `because`: what was wrong before healing stopped it; who did that is healing then.
    """
    if status.health == "up" or not status.made:
        return
    name = _named(status.address, status.name)
    for_s = now - status.since
    down = status.health == "down" and for_s >= alerts.after_s
    change = status.change
    ended = status.state == "stopped" and change is not None and change.state != "running"
    by = change.by if change is not None and ended else None
    by = by or ("somebody" if status.paused else None)  # nothing pauses by itself
    why = status.why
    if because and (status.state != "running" or why == UNANSWERED):
        why, by = because, None
    text = f"{name} is down: {why}" + (f" ({by} asked for it)" if by else "")
    yield Condition(
        f"down {status.address}",
        "ticket" if by else "page",  # somebody knows of it already
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
    address, name = status.address, _named(status.address, status.name)
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
    name = _named(found.guest, found.name)
    if found.burning is not None:
        rule = found.burning.rule
        text = (
            f"{name} uses up its error budget of {found.slo.availability:g} % too fast: "
            f"{found.burning.rate:.1f} times as fast as allowed in the last {lasted(rule.long_s)}"
        )
        yield Condition(f"budget {found.guest}", rule.severity, found.guest, now, text)
    elif found.lately_known_s < _SHORT_S / 2:
        yield _unsure_budget(found.guest, found.name, now)


def _unsure_budget(guest: Address, name: str, now: float) -> Condition:
    text = f"{_named(guest, name)} uses up its error budget too fast"
    return Condition(f"budget {guest}", "ticket", guest, now, text, sure=False)


def _named(address: Address, name: str) -> str:
    return f"{address} ({name})" if name else address
