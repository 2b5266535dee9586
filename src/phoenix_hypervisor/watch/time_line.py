"""When something was up: answers become stretches of time, whatever the clock does in between.

An answer holds until the next one, but never longer than `hold_s`: what nobody saw is unknown, and
unknown is not up. Times are seconds of the wall clock (Unix time).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_WRONG_S = 3600.0


class State(StrEnum):
    """What was known of something in a stretch of time."""

    UP = "up"
    DOWN = "down"
    PLANNED = "planned"
    """Away on purpose: in a maintenance window, or for an apply."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A state from `start` until before `end`."""

    start: float
    end: float
    state: State


@dataclass(frozen=True, slots=True)
class Totals:
    """Seconds of each state in a window; what is left of the window is unknown."""

    up_s: float = 0.0
    down_s: float = 0.0
    planned_s: float = 0.0

    @property
    def known_s(self) -> float:
        """Seconds that say something of the promise: up or down."""
        return self.up_s + self.down_s

    @property
    def availability(self) -> float | None:
        """Share of the known time that it was up, 0 to 1; None where nothing is known."""
        return self.up_s / self.known_s if self.known_s > 0 else None

    def __add__(self, other: "Totals") -> "Totals":
        """Both together."""
        return Totals(
            self.up_s + other.up_s, self.down_s + other.down_s, self.planned_s + other.planned_s
        )


def totals(stretches: Iterable[Stretch], start: float, end: float) -> Totals:
    """Adds up what lies in a window. Stretches must not overlap."""
    seconds = dict.fromkeys(State, 0.0)
    for each in stretches:
        seconds[each.state] += max(0.0, min(each.end, end) - max(each.start, start))
    return Totals(seconds[State.UP], seconds[State.DOWN], seconds[State.PLANNED])


@dataclass(slots=True)
class TimeLine:
    """Turns the answers of one check into stretches that never overlap.

    Where the clock is set back, no time is counted twice: nothing is added until it is past the
    time already counted. Where it is set back by more than an hour, what was counted ahead was
    wrong, and nobody waits for it. Where it is set forward, the jump is unknown, as any gap is.
    """

    hold_s: float
    _at: float | None = None
    _state: State = State.UP
    _counted: float = float("-inf")

    def say(self, at: float, state: State) -> Stretch | None:
        """Takes an answer; the stretch that the one before it stands for, where it has a length."""
        ended = self._until(at)
        self._at, self._state = at, state
        return ended

    def close(self, at: float) -> Stretch | None:
        """Ends the line, as when Phoenix stops watching; what comes after is unknown."""
        ended = self._until(at)
        self._at = None
        return ended

    def _until(self, at: float) -> Stretch | None:
        if self._at is None:
            return None
        if at < self._counted - _WRONG_S:
            self._at, self._counted = at, at
        start = max(self._at, self._counted)
        end = min(at, self._at + self.hold_s)
        if end <= start:
            return None
        self._counted = end
        return Stretch(start, end, self._state)
