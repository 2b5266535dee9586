"""The arithmetic of a run: how long a fault was felt, and what is left of the promises. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tests.chaos.care import Care
from tests.chaos.clients import Reply
from tests.chaos.order import Target

LIMIT_S = 55.0
"""A fault that is not over by then counts as one that did not recover by itself."""
HOUR_S = 3600.0
SERVICE_KINDS = ("service killed",)
GUEST_KINDS = ("init killed", "halted")
_SERVICE_S = 2.0
_GUEST_S = 10.0
_AWAY = 0.001
"""The share of an hour that one fault in it may take away: 99.9 % are left."""


@dataclass(frozen=True)
class Outcome:
    """One fault. `at` is Unix time, `recovery_s` as its clients felt it. `room_s`: so long after it
    the full disk took something again. `ill`: what was not well when the limit had passed.
    """

    kind: str
    target: Target
    at: float
    recovery_s: float
    lost: int
    care: Care
    room_s: float | None = None
    ill: tuple[str, ...] = ()

    def recovered(self, limit_s: float = LIMIT_S) -> bool:
        """Whether it was over within the limit."""
        return not self.ill and max(self.recovery_s, self.room_s or 0.0) <= limit_s


@dataclass(frozen=True)
class Kept:
    """What one endpoint's clients got over the whole run. `sacred`: nothing of it may be lost."""

    title: str
    asked: int
    lost: int
    slowest_s: float
    sacred: bool = False

    @property
    def availability(self) -> float:
        """The share that was answered."""
        return 1 - self.lost / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Goal:
    """`met` is None where nothing was measured of it."""

    what: str
    found: str
    wanted: str
    met: bool | None


@dataclass(frozen=True)
class Run:
    """All that was measured. `flaws` are what broke off or disturbed the run itself. `slack` times
    as long may everything take, on a machine that has other work.
    """

    outcomes: tuple[Outcome, ...]
    kept: tuple[Kept, ...]
    seed: int
    took_s: float
    slack: float = 1.0
    flaws: tuple[str, ...] = ()

    def by_kind(self) -> Mapping[str, list[Outcome]]:
        """In the order of their first faults."""
        found: dict[str, list[Outcome]] = {}
        for one in self.outcomes:
            found.setdefault(one.kind, []).append(one)
        return found

    def of(self, *kinds: str) -> list[Outcome]:
        """The faults of these kinds."""
        return [one for one in self.outcomes if one.kind in kinds]


def felt(replies: Iterable[Reply], began: float, at: float) -> tuple[float, int]:
    """How many seconds after the fault the last question was lost, and how many were.

    `began` is when its bringing about began: what was lost since then belongs to it, since no fault
    comes before all are answered again.
    """
    ends = [one.end for one in replies if one.lost and one.end >= began]
    return (max(0.0, max(ends) - at) if ends else 0.0), len(ends)


def kept(title: str, replies: Sequence[Reply], *, sacred: bool) -> Kept:
    """Sums up one endpoint."""
    slowest = max((one.took for one in replies if not one.lost), default=0.0)
    return Kept(title, len(replies), sum(bool(one.lost) for one in replies), slowest, sacred)


def left_of_an_hour(outcomes: Sequence[Outcome]) -> float:
    """The share of it in which clients are answered, if one fault comes in each."""
    return 1 - fmean(one.recovery_s for one in outcomes) / HOUR_S


def goals(run: Run) -> list[Goal]:
    """What is promised."""
    slack = run.slack
    found = [
        _median("killed services, median", run.of(*SERVICE_KINDS), _SERVICE_S * slack),
        _median("killed guests, median", run.of(*GUEST_KINDS), _GUEST_S * slack),
    ]
    if run.outcomes:
        share, wanted = left_of_an_hour(run.outcomes), 1 - _AWAY * slack
        words = f"at least {wanted:.2%}"
        found.append(Goal("one fault an hour leaves", f"{share:.3%}", words, share >= wanted))
    sacred = [one for one in run.kept if one.sacred]
    if sacred:
        lost = sum(one.lost for one in sacred)
        told = f"{lost} of {sum(one.asked for one in sacred)}"
        found.append(Goal("questions that replicas lose", told, "0", lost == 0))
    limit_s = LIMIT_S * slack
    bad = [one for one in run.outcomes if not one.recovered(limit_s)]
    told = f"{len(run.outcomes) - len(bad)} of {len(run.outcomes)}"
    found.append(Goal(f"recovered by itself within {limit_s:.0f} s", told, "all", not bad))
    gave_up = [said for one in run.outcomes for said in one.care.gave_up]
    found.append(Goal("times that healing gave up", str(len(gave_up)), "0", not gave_up))
    return found


def _median(what: str, outcomes: Sequence[Outcome], limit_s: float) -> Goal:
    wanted = f"less than {limit_s:g} s"
    if not outcomes:
        return Goal(what, "not measured", wanted, None)
    found = median(one.recovery_s for one in outcomes)
    return Goal(what, f"{found:.1f} s", wanted, found < limit_s)
