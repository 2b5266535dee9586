"""What may be done by itself for a guest that is down: the policy, as the files say it."""

from dataclasses import dataclass
from typing import Literal

Rung = Literal["service", "restart", "rollback", "recreate"]
"""A rung of the ladder, from the least to the most. `service` begins services of the guest again
(and makes room on a full disk before that), `restart` the guest itself, `rollback` brings it back
to a snapshot, `recreate` makes it anew from the files."""

RUNGS: tuple[Rung, ...] = ("service", "restart", "rollback", "recreate")
LOSING: frozenset[Rung] = frozenset({"rollback", "recreate"})
"""Rungs after which what the guest held is lost."""


@dataclass(frozen=True, slots=True)
class HealPolicy:
    """How far healing goes for one guest, and how often. No `steps`: it is left alone.

    `settle_s` is how long a step has to show its effect before the next one. When all have been
    tried they are tried again after `back_off_s`, doubled each time. No more than `per_hour` steps
    in an hour; a guest that goes down `flaps` times in a row before it was up for `stable_s` is
    given up. `snapshot` is what `rollback` goes back to. All times are in seconds.
    """

    steps: tuple[Rung, ...] = ("service", "restart")
    per_hour: int = 6
    settle_s: float = 10.0
    back_off_s: float = 30.0
    stable_s: float = 60.0
    flaps: int = 3
    snapshot: str | None = None
