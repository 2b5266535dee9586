"""What the healer keeps in mind of one guest."""

from dataclasses import dataclass, field, replace

from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import GuestChanged, Health
from phoenix_hypervisor.watch.course import Course, Step, rung
from phoenix_hypervisor.watch.healing import TAKEN, Do
from phoenix_hypervisor.watch.judge import UNANSWERED
from phoenix_hypervisor.watch.symptoms import Symptoms

Where = tuple[GuestState, GuestChanged | None]
"""How a guest was when something was decided: what differs once it stops or starts."""
_AGAIN_LATER_S = 3600.0
"""So long nothing is done again, for one that counts as up, that did not help."""
_FAILED_S = 20.0
"""So long at first after a step that failed for one that counts as up; doubled each time."""


@dataclass(frozen=True, slots=True)
class FullDisks:
    """Folders whose disks took nothing more at the last look, and since when (Unix time). Not
    `sure`: that is not known now.
    """

    since: float
    folders: tuple[str, ...] = ()
    sure: bool = True


@dataclass(slots=True)
class Patient:
    """One guest. `recalled`: an earlier watcher left it down, and it was not seen since."""

    course: Course = field(default_factory=Course)
    recalled: bool = False
    health: Health = "unknown"
    running: bool = False
    seen_running: bool = False
    quiet_until: float = 0.0
    quiet_for: Where | None = None
    left: Where | None = None
    """How it was when healing gave up."""
    told: set[str] = field(default_factory=set)
    doubted: float = 0.0
    """When the last step ended that was done although it counted as up."""
    not_before: dict[Step, float] = field(default_factory=dict)
    """Until when steps are not done again for one that counts as up: they did not help."""
    begun: dict[str, float] = field(default_factory=dict)
    """Units and cards that were begun for one that counted as up, and when, until they are well."""
    failed: int = 0
    """How many steps in a row have failed while it counted as up."""
    waited_at: float = 0.0
    """When it last had to wait for guests that it depends on."""
    because: str = ""
    """What was wrong when a step of ours began that stops it."""
    looked: bool = False
    full: FullDisks | None = None

    def found(self, seen: Symptoms, now: float) -> None:
        """Takes what a look into it found."""
        self.looked |= not seen.silent
        if seen.full:
            self.full = FullDisks(self.full.since if self.full else now, seen.full)
        elif not seen.silent:
            self.full = None
        if not seen.silent:
            ill = {*seen.dead, *seen.frozen, *seen.young, *seen.idle, *seen.cut}
            self.begun = {name: at for name, at in self.begun.items() if name in ill}
            if not seen.taken:
                self.told.discard(TAKEN)

    def still_up(self) -> None:
        """It is up: what was told of it while it was down is over, but not what was taken away."""
        self.quiet_until, self.quiet_for, self.left = 0.0, None, None
        self.waited_at = 0.0
        self.because = ""
        self.told &= {TAKEN}

    def in_vain(self, now: float) -> frozenset[str]:
        """Units and cards that were begun within the hour, and are not well since."""
        return frozenset(name for name, at in self.begun.items() if now < at + _AGAIN_LATER_S)

    def not_in_vain(self, seen: Symptoms, now: float) -> Symptoms:
        """Without what a step would mend that is not to be done again yet."""
        vain = {step for step, until in self.not_before.items() if now < until}
        if "room" in vain:
            seen = replace(seen, full=())
        if "plug" in vain:
            seen = replace(seen, cut=())
        if "service" in vain:
            seen = replace(seen, dead=(), frozen=(), idle=())
        return seen

    def mended(self, do: Do, seen: Symptoms, now: float) -> None:
        """A step was done for one that counts as up; what a look after it found."""
        self.failed = 0
        if (do.step == "room" and seen.full) or (do.step == "plug" and seen.cut):
            self.not_before[do.step] = now + _AGAIN_LATER_S
            self.course.helped = False
        if do.step == "service":
            self.begun |= dict.fromkeys((*do.units, *do.cards), now)
            self.found(seen, now)
            self.course.helped &= {*seen.dead, *seen.frozen}.isdisjoint(do.units)

    def could_not(self, do: Do, now: float) -> None:
        """A step failed for one that counts as up. It costs nothing of the hour's limit, which is
        for those that are down; instead the pauses grow.
        """
        self.course.helped = False
        self.course.uncounted()
        pause_s = min(_FAILED_S * 2.0**self.failed, _AGAIN_LATER_S)
        self.failed += 1
        self.not_before[do.step] = now + pause_s

    def disks(self, now: float) -> FullDisks | None:
        """What is known of its disks; None where they are well."""
        if not self.looked:
            return FullDisks(now, sure=False)
        if self.full is not None and not self.running:
            return FullDisks(self.full.since, self.full.folders, sure=False)
        return self.full

    def goes_down(self, step: Step, status: GuestStatus) -> None:
        """A step begins: where it stops the guest, that is not what is wrong."""
        runs = status.state == "running" and status.why != UNANSWERED
        if runs and rung(step) != "service":
            self.because = status.why

    def quiet(self, where: Where, until: float) -> None:
        """Nothing before that moment, unless it stops or starts."""
        self.quiet_until, self.quiet_for = until, where

    def rests(self, where: Where, now: float) -> bool:
        """Whether nothing is to be done yet."""
        return self.quiet_for == where and now < self.quiet_until

    def shift(self, by_s: float) -> None:
        """The clock was set: all moments go with it."""
        self.course.shift(by_s)
        self.quiet_until += by_s
        self.doubted += by_s
        self.waited_at += by_s
        self.not_before = {step: at + by_s for step, at in self.not_before.items()}
        self.begun = {name: at + by_s for name, at in self.begun.items()}
        if self.full is not None:
            self.full = replace(self.full, since=self.full.since + by_s)

    def heed(self, status: GuestStatus, now: float) -> None:
        """Takes how it is while healing has given up: that ends once somebody acts."""
        where = (status.state, status.change)
        if self.left is None:
            self.quiet(where, float("inf"))
        elif where != self.left and _by_somebody(self.left, status):
            self.course.taken_over(now)
            self.told.clear()
            self.left = None
            return
        self.left = where


def answered_since(status: GuestStatus, moment: float) -> bool:
    """Whether a check has answered since then; one without checks needs none."""
    return not status.answers or any(one.at >= moment for one in status.answers)


def _by_somebody(left: Where, status: GuestStatus) -> bool:
    """Whether somebody has stopped or started it since; healing itself does nothing meanwhile."""
    change = status.change
    asked = change is not None and change != left[1] and change.by is not None
    return asked or (status.state == "running" and left[0] != "running")
