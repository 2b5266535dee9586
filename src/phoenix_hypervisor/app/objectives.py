"""How guests keep what they promise: budgets of all windows, and what burns. The same for all who
show it.
"""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.watch.roll_up import RollUp
from phoenix_hypervisor.watch.slo import (
    BURN_RULES,
    WINDOWS,
    Budget,
    Burning,
    burn_rate,
    burning,
    latency_kept,
)
from phoenix_hypervisor.watch.store import Reader
from phoenix_hypervisor.watch.time_line import Totals

PROMISED = "30d"
"""The window that a promise is about; the shorter ones show where it is going."""
_PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Kept:
    """One window of one guest.

    `answers` came from its checks while it was up, `slow` of them too late; not counted where
    nothing is promised of latency.
    """

    window_s: float
    totals: Totals
    budget: Budget | None
    answers: int
    slow: int
    in_time: bool | None
    """Whether 95 of 100 answers were in time; None without such a promise, or without answers."""

    @property
    def watched(self) -> float:
        """The share of the window in which somebody watched, 0 to 1."""
        seen = self.totals.known_s + self.totals.planned_s
        return min(1.0, seen / self.window_s)


@dataclass(frozen=True, slots=True)
class Objective:
    """A guest with what it promises (None: nothing) and how it keeps that, by window.

    `rate` is how fast the budget burns in the last hour; None where that is not known.
    `lately_known_s` is how much of the last five minutes is known, in seconds.
    """

    guest: Address
    name: str
    slo: Slo
    windows: Mapping[str, Kept]
    burning: Burning | None
    rate: float | None
    lately_known_s: float

    @property
    def broken(self) -> bool:
        """Whether a promise is broken for sure: of availability, or of latency."""
        kept = self.windows.get(PROMISED)
        if kept is None:
            return False
        return (kept.budget is not None and kept.budget.kept is False) or kept.in_time is False


def measured(
    desired: Desired, now: float, windows: Mapping[str, float] = WINDOWS
) -> list[Objective]:
    """As `objectives`, of what was measured in the stack's folder. Raises `DataUnreadable`."""
    reader = Reader.open(desired.folder)
    try:
        return objectives(desired, reader, now, windows)
    except sqlite3.Error as error:
        raise DataUnreadable(f"the measurements can't be read: {error}") from error
    finally:
        if reader is not None:
            reader.close()


def objectives(
    desired: Desired, reader: Reader | None, now: float, windows: Mapping[str, float] = WINDOWS
) -> list[Objective]:
    """Of all guests that are to run. `reader` None: nothing was ever watched.

    `now` is Unix time. `windows` are the lengths to tell of, by their names, in seconds: none where
    only what burns is wanted, which is much quicker.
    """
    guests = [guest for guest in desired.guests.values() if guest.runs]
    timed = [one.address for one in guests if one.slo and one.slo.latency_p95_ms is not None]
    lengths = {WINDOWS["1h"], *windows.values()}
    lengths |= {seconds for rule in BURN_RULES for seconds in (rule.long_s, rule.short_s)}
    seen = {}
    for one in lengths:
        told_of = timed if one in windows.values() else []
        seen[one] = reader.summed(now - one, now, told_of) if reader else {}
    return [
        _objective(guest.address, guest.name, guest.slo or Slo(), seen, windows) for guest in guests
    ]


def _objective(
    guest: Address,
    name: str,
    slo: Slo,
    seen: Mapping[float, Mapping[Address, RollUp]],
    windows: Mapping[str, float],
) -> Objective:
    def last(window_s: float) -> RollUp:
        return seen[window_s].get(guest) or RollUp()

    burns = rate = None
    if slo.availability is not None:
        share = slo.availability / _PERCENT
        burns = burning(share, lambda window_s: last(window_s).totals)
        rate = burn_rate(share, WINDOWS["1h"], last(WINDOWS["1h"]).totals)
    kept = {window: _kept(slo, length, last(length)) for window, length in windows.items()}
    lately = min(rule.short_s for rule in BURN_RULES)
    return Objective(guest, name, slo, kept, burns, rate, last(lately).totals.known_s)


def _kept(slo: Slo, window_s: float, found: RollUp) -> Kept:
    budget = None
    if slo.availability is not None:
        budget = Budget(slo.availability / _PERCENT, window_s, found.totals)
    answers = found.answers - found.failed  # one that failed is a matter of availability
    in_time = latency_kept(answers, found.slow) if slo.latency_p95_ms is not None else None
    return Kept(window_s, found.totals, budget, answers, found.slow, in_time)


def document(found: Sequence[Objective]) -> dict[str, Any]:
    """What `phoenix --json slo` prints. Times in seconds; null: not known, or endless."""
    return {
        "format": 1,
        "ok": not any(each.broken for each in found),
        "guests": [
            {
                "address": each.guest,
                "name": each.name,
                "objective": {
                    "availability": each.slo.availability,
                    "latency_p95_ms": each.slo.latency_p95_ms,
                },
                "broken": each.broken,
                "burn_rate": _finite(each.rate),
                "burning": None if each.burning is None else each.burning.rule.severity,
                "windows": {name: _window(kept) for name, kept in each.windows.items()},
            }
            for each in found
        ],
    }


def _window(kept: Kept) -> dict[str, Any]:
    totals, budget = kept.totals, kept.budget
    share = totals.availability
    return {
        "availability": None if share is None else share * _PERCENT,
        "watched": kept.watched,
        "up_s": totals.up_s,
        "down_s": totals.down_s,
        "planned_s": totals.planned_s,
        "kept": None if budget is None else budget.kept,
        "budget_s": None if budget is None else budget.allowed_s,
        "left_s": None if budget is None else budget.left_s,
        "left": None if budget is None else _finite(budget.left),
        "answers": kept.answers,
        "slow": kept.slow,
        "in_time": kept.in_time,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
