"""What the healer keeps in mind of one guest."""

from dataclasses import dataclass, field, replace

from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import GuestChanged, Health
from phoenix_hypervisor.watch.course import Course, Step, rung
from phoenix_hypervisor.watch.judge import UNANSWERED
from phoenix_hypervisor.watch.symptoms import Symptoms

Where = tuple[GuestState, GuestChanged | None]
"""How a guest was when something was decided: what differs once it stops or starts."""


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
    made_room: float = float("-inf")
    """When that was done last for one that counted as up, and did not help."""
    plugged: float = float("-inf")
    """The same of its network cards."""
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
        self.made_room += by_s
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


def _by_somebody(left: Where, status: GuestStatus) -> bool:
    """Whether somebody has stopped or started it since; healing itself does nothing meanwhile."""
    change = status.change
    asked = change is not None and change != left[1] and change.by is not None
    return asked or (status.state == "running" and left[0] != "running")
