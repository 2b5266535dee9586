"""Events: what apply tells while it works, and the report it ends with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.address import Address

EventKind = Literal["started", "progress", "finished", "failed", "retry", "skipped"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one address; `elapsed_s` counts from the run's start."""

    event: EventKind
    address: Address
    action: str
    step: str
    elapsed_s: float
    message: str = ""

    def as_json(self) -> dict[str, object]:
        """The shape of a line of `phoenix --json apply`."""
        return {
            "event": self.event,
            "address": self.address,
            "action": self.action,
            "step": self.step,
            "elapsed_s": round(self.elapsed_s, 3),
            "message": self.message,
        }


Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed, with the words that tell why and how to mend it."""

    address: Address
    step: str
    message: str
    hint: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended. `half_done` names what an interruption left unfinished, `rooted` what was
    done as root on the host, beside the target's API, `found` what runs that were broken off before
    had left in guests, and what was done about it. `left_out` names replicas that their proxies
    lead nothing to, since the run did not get so far as to take them back.
    """

    ok: bool
    summary: Mapping[str, int]
    failed: tuple[Failure, ...] = ()
    elapsed_s: float = 0.0
    half_done: tuple[str, ...] = ()
    interrupted: bool = False
    rooted: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The last line of `phoenix --json apply`."""
        return {
            "event": "report",
            "ok": self.ok,
            "summary": dict(self.summary),
            "failed": [
                {"address": f.address, "step": f.step, "message": f.message, "hint": f.hint}
                for f in self.failed
            ],
            "elapsed_s": round(self.elapsed_s, 3),
            "interrupted": self.interrupted,
            "half_done": list(self.half_done),
            "rooted": list(self.rooted),
            "found": list(self.found),
            "left_out": list(self.left_out),
        }
