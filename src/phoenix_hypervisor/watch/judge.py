"""How one guest is, from what its checks answer and what the hypervisor says of it.

A check that fails once is asked again before the guest counts as down, and is then down since the
first failure. A guest that does not run, and is to run, is down at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import Answer, Health
from phoenix_hypervisor.watch.time_line import State, Stretch, TimeLine

_FAILURES = 2
"""So many in a row make a guest down."""
STATES = {"up": State.UP, "down": State.DOWN, "planned": State.PLANNED}
"""What health counts as; what is not in here is unknown time."""
_SHOWN = 3
_NOTHING = "nothing has told of it yet"
UNANSWERED = "it has begun to run, and has not answered yet"
"""Why one counts as down that was not running a moment ago."""
NOT_MADE = "it is not made yet: `phoenix apply` makes it"
_UNTOLD = "the hypervisor does not tell whether it runs"
Said = Literal["up", "down", "unknown"]


@dataclass(slots=True)
class _Standing:
    """One check: how it answers since its guest runs."""

    source: Literal["outside", "inside"]
    answer: Answer | None = None
    said: Said | None = None
    failures: int = 0
    failing_since: float = 0.0


@dataclass(slots=True)
class Judge:
    """One guest. All times are Unix time; what each method returns is time that is known now.

    `planned` says why it is away on purpose, where it is. `hindered`: why the hypervisor tells
    nothing of it; empty where it does. `made`: it is there, or was; one that never was is not down
    but unknown. `unsettled`: whether it was made is being asked; until then nothing is said of one
    that is absent. `paused`: it counts as stopped, and only stands still.
    """

    hold_s: float
    state: GuestState = "unknown"
    health: Health = "unknown"
    since: float = 0.0
    why: str = _NOTHING
    planned: str = ""
    hindered: str = ""
    made: bool = True
    unsettled: bool = False
    paused: bool = False
    _checks: dict[str, _Standing] = field(default_factory=dict)
    _line: TimeLine = field(init=False)

    def __post_init__(self) -> None:
        self._line = TimeLine(self.hold_s)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What each check said last, in the order of the checks."""
        return tuple(each.answer for each in self._checks.values() if each.answer is not None)

    def keep(self, checks: Mapping[str, Literal["outside", "inside"]]) -> None:
        """These are its checks now, by name, and where each is asked from."""
        before = self._checks
        self._checks = {
            name: before[name] if name in before else _Standing(source)
            for name, source in checks.items()
        }

    def failures(self, check: str) -> int:
        """How often in a row a check failed."""
        return self._checks[check].failures if check in self._checks else 0

    def took_s(self, check: str) -> float:
        """How long a check's last answer took, in seconds; 0 where it has none."""
        standing = self._checks.get(check)
        answer = standing.answer if standing else None
        return (answer.latency_ms or 0.0) / 1000 if answer else 0.0

    def failing_s(self, check: str, now: float) -> float:
        """How long a check has been failing, in seconds; 0 where it doesn't."""
        standing = self._checks.get(check)
        return now - standing.failing_since if standing and standing.failures else 0.0

    def saw(
        self, state: GuestState, at: float, hindered: str = "", *, paused: bool = False
    ) -> list[Stretch]:
        """The hypervisor says how it is, or can't be asked (`hindered`). What was said inside does
        not count any more when that is over.
        """
        if state == "unknown" and not hindered:
            hindered = _UNTOLD
        if bool(hindered) != bool(self.hindered):
            self._begin_anew("inside")
        self.hindered = hindered
        if not hindered:
            if state == "running" and self.state in ("stopped", "absent"):
                self._begin_anew("inside", "outside")
                self.why = UNANSWERED if self.health == "down" else self.why
            self.state, self.paused = state, paused
            self.made |= state in ("running", "stopped")
        return self.judge(at)

    def settle(self, at: float, *, made: bool) -> list[Stretch]:
        """It was asked whether it was made; one that is there was."""
        self.unsettled = False
        self.made = made or self.state in ("running", "stopped")
        return self.judge(at)

    def answered(self, answer: Answer, said: Said, asked: float) -> list[Stretch]:
        """A check was `asked` and answered; `answer` is how that is kept."""
        standing = self._checks.get(answer.check)
        if standing is None:
            return []  # it was dropped meanwhile
        standing.answer, standing.said = answer, said
        if said == "down":
            standing.failing_since = standing.failing_since if standing.failures else asked
            standing.failures += 1
        else:
            standing.failures = 0
        return self.judge(answer.at)

    def judge(self, at: float) -> list[Stretch]:
        """Looks at all that is known."""
        self.since = min(self.since, at)  # else the clock was set back
        found = self._found()
        if found is None:
            return []
        health, why, began = found
        if health == "down" and self.planned:
            health, why = "planned", self.planned
        moments = [at]
        if health != self.health:
            # Planned time that ends in a failure was planned to its end.
            early = began is not None and self.health != "planned"
            self.since = min(at, began or at) if early else at
            self.health = health
            moments = [self.since, at] if self.since < at else [at]
        self.why = why
        if health == "unknown":
            ended = [self._line.close(at)]
        else:
            ended = [self._line.say(moment, STATES[health]) for moment in moments]
        return [stretch for stretch in ended if stretch is not None]

    def close(self, at: float) -> list[Stretch]:
        """Nobody watches it any more."""
        ended = self._line.close(at)
        return [] if ended is None else [ended]

    def _begin_anew(self, *sources: str) -> None:
        for standing in self._checks.values():
            if standing.source in sources:
                standing.said, standing.failures = None, 0

    def _found(self) -> tuple[Health, str, float | None] | None:
        """Health, the reason and since when; None while that can't be told yet."""
        if not self.hindered and self.state in ("stopped", "absent"):
            if self.state == "absent" and self.unsettled:
                return None
            if self.state == "absent" and not self.made:
                return "unknown", NOT_MADE, None
            return "down", f"it is {'paused' if self.paused else self.state}", None
        checks = {name: one for name, one in self._checks.items() if self._counts(one)}
        failing = {name: one for name, one in checks.items() if one.failures >= _FAILURES}
        if failing:
            return "down", _told(failing), min(one.failing_since for one in failing.values())
        if any(one.failures for one in checks.values()):
            return None
        if not checks and (self.hindered or self._checks or self.state == "unknown"):
            return "unknown", self.hindered or self._unasked() or _NOTHING, None
        if any(one.said is None for one in checks.values()):
            return None
        return "up", "", None

    def _counts(self, one: _Standing) -> bool:
        """Whether a check says something now; without the hypervisor those from outside do."""
        if self.hindered:
            return one.source == "outside" and one.said in ("up", "down")
        return one.said != "unknown"

    def _unasked(self) -> str:
        answers = (each.answer for each in self._checks.values() if each.said == "unknown")
        return next((answer.message for answer in answers if answer is not None), "")


def _told(failing: Mapping[str, _Standing]) -> str:
    told = [f"{name}: {one.answer.message}" for name, one in failing.items() if one.answer]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more
