"""Service level objectives: error budgets and burn rates.

Words and arithmetic: "The Site Reliability Workbook", chapters 2 and 5 (multi-window,
multi-burn-rate alerts).
"""

from collections.abc import Callable
from dataclasses import dataclass

from phoenix_hypervisor.model.watch import Severity
from phoenix_hypervisor.watch.time_line import Totals

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
WINDOWS = {"1h": _HOUR, "1d": _DAY, "7d": 7 * _DAY, "30d": 30 * _DAY}
"""The rolling windows that are told, in seconds."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a promise is used up in one window. All times in seconds."""

    objective: float
    window_s: float
    totals: Totals

    @property
    def allowed_s(self) -> float:
        """How long it may be down in such a window; planned time promises nothing."""
        return (1 - self.objective) * max(0.0, self.window_s - self.totals.planned_s)

    @property
    def unknown_s(self) -> float:
        """Time of the window that nobody saw."""
        return max(0.0, self.window_s - self.totals.known_s - self.totals.planned_s)

    @property
    def left_s(self) -> float:
        """What is left; negative once the promise is broken."""
        return self.allowed_s - self.totals.down_s

    @property
    def left(self) -> float:
        """What is left, as a share of what was allowed: 1 at first, 0 and below when used up."""
        if self.allowed_s > 0:
            return self.left_s / self.allowed_s
        return 1.0 if self.totals.down_s == 0 else float("-inf")

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept; None where what nobody saw could have broken it."""
        if self.left_s < 0:
            return False
        return True if self.totals.down_s + self.unknown_s <= self.allowed_s else None


def burn_rate(objective: float, window_s: float, seen: Totals) -> float | None:
    """How many times faster than allowed the budget is used in a window; None where nothing is
    known of it.

    At 1 it lasts exactly as long as the window. What is down is counted against the whole window
    (seconds), so that the rate says how much was really used: a few seconds are as little of 30
    days where somebody watched for minutes only. An objective of 1 (100 %) allows nothing: any
    failure burns infinitely fast.
    """
    if seen.known_s <= 0:
        return None
    share_down = seen.down_s / window_s
    if objective >= 1:
        return float("inf") if share_down > 0 else 0.0
    return share_down / (1 - objective)


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Burning this fast in both windows (seconds) is told; the short one ends the telling soon."""

    severity: Severity
    long_s: float
    short_s: float
    rate: float


BURN_RULES = (
    BurnRule("page", _HOUR, 5 * _MINUTE, 14.4),
    BurnRule("page", 6 * _HOUR, 30 * _MINUTE, 6.0),
    BurnRule("ticket", 3 * _DAY, 6 * _HOUR, 1.0),
)
"""What the Workbook recommends: 2 % of 30 days' budget in an hour, 5 % in six, 10 % in 3 days."""


@dataclass(frozen=True, slots=True)
class Burning:
    """A budget that is used up too fast, by the first rule that says so."""

    rule: BurnRule
    rate: float


def burning(objective: float, last: Callable[[float], Totals]) -> Burning | None:
    """What has to be told now. `last` gives the totals of the last so many seconds.

    The rate that is told is that of the long window: how much was used, not how fast it ends.
    """
    for rule in BURN_RULES:
        rate, lately = (
            burn_rate(objective, window_s, last(window_s))
            for window_s in (rule.long_s, rule.short_s)
        )
        if rate is not None and lately is not None and min(rate, lately) > rule.rate:
            return Burning(rule, rate)
    return None


def latency_kept(answers: int, slow: int) -> bool | None:
    """Whether 95 of 100 answers were in time; None where there were none.

    `slow` are those over the promised 95th percentile: counted one by one, not estimated.
    """
    return None if answers == 0 else slow * 20 <= answers
