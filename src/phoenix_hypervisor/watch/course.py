"""What has been done for one guest, and how it went: what the next decision needs to know."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from phoenix_hypervisor.model.heal import HealPolicy, Rung
from phoenix_hypervisor.model.watching import Happening, What

Step = Literal["start", "service", "room", "plug", "restart", "rollback", "recreate"]
"""What is done at once: a rung of the policy, or a smaller part of one."""

_STEPS: dict[str, Step] = {step: step for step in get_args(Step)}
_LEAVING = ("start", "restart", "rollback", "recreate")
"""Steps that leave it stopped or away where they break off."""
HOUR_S = 3600.0
LONGEST_PAUSE_S = 3600.0
TELLING: tuple[What, ...] = ("down", "up", "heal", "healed", "held", "gave-up")
"""What of a record `recalled` reads."""


def rung(step: Step) -> Rung:
    """The rung of the policy that a step belongs to."""
    match step:
        case "start":
            return "restart"
        case "room" | "plug":
            return "service"
        case _:
            return step


@dataclass(slots=True)
class Course:
    """All times are Unix time. `tried` are the steps of the round under way. No step comes before
    `next_at`, and none for a guest that runs before `settles_at`: the last one had no time yet.

    `helped` tells whether a step was done since it went down, `again` how often in a row it went
    down again soon after one had helped, `ours` whether a step of ours left it stopped or away,
    `over` when the last one ended. `gave_up` says since when nothing more is done, and why.
    """

    down_since: float | None = None
    up_since: float | None = None
    tried: list[Step] = field(default_factory=list)
    rounds: int = 0
    next_at: float = 0.0
    settles_at: float = 0.0
    again: int = 0
    helped: bool = False
    ours: Step | None = None
    over: float = 0.0
    gave_up: tuple[float, str] | None = None
    lost: set[Rung] = field(default_factory=set)
    done: list[float] = field(default_factory=list)
    last: tuple[Step, float] | None = None

    def down(self, since: float, policy: HealPolicy, *, real: bool = True) -> None:
        """It is down since then. Told again and again while it is; only the first time counts.

        Not `real`: its checks do not say so, and it flaps not by that.
        """
        if self.down_since is not None:
            return
        self.down_since = since
        soon = self.up_since is not None and since - self.up_since < policy.stable_s
        if not soon:
            self.forget()
        elif self.helped and real:
            self.again += 1
            if self.again > 1:
                self.next_at = since + _pause(policy, self.again - 2)
        self.tried.clear()
        self.helped, self.rounds = False, 0

    def calm(self) -> None:
        """Its checks never said that it is down, and nothing was done."""
        self.down_since = None

    def up(self, now: float) -> tuple[Step, float] | None:
        """It is up again. The step that helped, and how many seconds ago it began."""
        if self.down_since is None:
            return None
        self.down_since, self.up_since, self.ours = None, now, None
        self.gave_up = None
        self.next_at = self.settles_at = 0.0
        return (self.last[0], now - self.last[1]) if self.helped and self.last else None

    def begins(self, step: Step, now: float) -> None:
        """A step begins. Making room does not count: it is no more than housekeeping."""
        if step != "room":
            self.done = [*self.in_last_hour(now), now]
        self.tried.append(step)
        self.last = step, now
        self.helped = True
        if rung(step) in ("rollback", "recreate"):
            self.lost.add(rung(step))

    def uncounted(self) -> None:
        """The last step does not count for the hour."""
        if self.last is not None and self.last[1] in self.done:
            self.done.remove(self.last[1])

    def ended(self, now: float, patience_s: float) -> None:
        """The step has ended; the next one comes when it had time to show its effect."""
        self.over, self.settles_at = now, now + patience_s

    def failed(self, now: float, policy: HealPolicy) -> None:
        """The step could not be done."""
        self.over, self.next_at = now, max(self.next_at, now + policy.settle_s)

    def begins_anew(self, now: float, policy: HealPolicy) -> None:
        """All has been tried: after a pause, doubled each time, it is tried again."""
        self.next_at = max(self.next_at, now + _pause(policy, self.rounds))
        self.rounds += 1
        self.tried.clear()

    def in_last_hour(self, now: float) -> list[float]:
        """When steps began, of the last hour."""
        return [at for at in self.done if now - HOUR_S < at <= now]

    def forget(self) -> None:
        """It was up for long: what was before says nothing any more, but for the hour's count."""
        self.lost.clear()
        self.again = 0

    def taken_over(self, now: float) -> None:
        """Somebody has stopped or started it: what was tried before says nothing any more."""
        self.down_since, self.gave_up = now, None
        self.rounds = self.again = 0
        self.next_at = 0.0
        self.tried.clear()

    def shift(self, by_s: float) -> None:
        """The clock was set: all moments go with it, so that every pause stays as long as it is."""
        self.next_at += by_s
        self.settles_at += by_s
        self.over += by_s
        self.done = [at + by_s for at in self.done]
        if self.down_since is not None:
            self.down_since += by_s
        if self.up_since is not None:
            self.up_since += by_s
        if self.last is not None:
            self.last = self.last[0], self.last[1] + by_s
        if self.gave_up is not None:
            self.gave_up = self.gave_up[0] + by_s, self.gave_up[1]


def _pause(policy: HealPolicy, before: int) -> float:
    """Doubled for each one before."""
    return min(policy.back_off_s * 2.0**before, LONGEST_PAUSE_S)


def recalled(
    happened: Iterable[Happening], policy: Callable[[str], HealPolicy]
) -> dict[str, Course]:
    """What an earlier watcher had done (`happened`, the newest first), by guest, so that a restart
    of it forgets no limit, and no guest that it left stopped. `policy` is that of a guest.

    A `heal` without a step is a remark on how one went: that it failed, of a `restart` without
    leaving it stopped.
    """
    found: dict[str, Course] = {}
    for one in reversed(list(happened)):
        if one.guest:
            _replay(found.setdefault(one.guest, Course()), one, policy(one.guest))
    return {guest: course for guest, course in found.items() if course.last or course.gave_up}


def _replay(course: Course, one: Happening, policy: HealPolicy) -> None:
    match one.what:
        case "down":
            course.down(one.at, policy)
        case "heal" if one.step in _STEPS:
            step = _STEPS[one.step]
            course.down(one.at, policy)
            if step in course.tried:
                course.rounds += 1
                course.tried.clear()
            course.begins(step, one.at)
            if step == "plug":  # it may have broken off with the card away: that comes first again
                course.tried.remove(step)
            course.over = one.at
            course.ours = step if step in _LEAVING else course.ours
        case "heal" if course.ours == "restart":
            course.ours = None
        case "healed" | "up":
            course.up(one.at)
        case "held":
            course.ours = None
        case "gave-up":
            course.gave_up, course.ours = (one.at, one.text), None
        case _:
            pass
