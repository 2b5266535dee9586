"""How long a graph of steps takes with so many hands: the walk of `apply`, played through.

Source of the rules: `apply/walk.py`. A step starts when all before it have ended and a slot is
free; a check needs none; so many clones of one source are made at a time.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.desired import CloneOf, Desired
from phoenix_hypervisor.model.driver import Driver, Limits

PARALLEL = 4
"""Steps at once, where nobody asks for another number."""

_OVERRUN = 0.25
"""What a step that took longer than expected still needs, as a part of what it took."""


@dataclass(frozen=True, slots=True)
class Hands:
    """How much is done at once."""

    slots: int
    clones_per_source: int
    sources: Mapping[Address, Address]
    """Clones, and what each is made from."""


def hands(desired: Desired, limits: Limits, parallel: int) -> Hands:
    """What a walk with `--parallel` has."""
    return Hands(
        max(1, min(parallel, limits.parallel)),
        max(1, limits.clones_per_source),
        {
            address: guest.source.address
            for address, guest in desired.guests.items()
            if isinstance(guest.source, CloneOf)
        },
    )


def whole(
    changes: Sequence[Change], desired: Desired, driver: Driver, parallel: int = PARALLEL
) -> float:
    """Seconds for all of a plan."""
    return remaining(changes, hands(desired, driver.limits, parallel))


def remaining(
    changes: Sequence[Change],
    with_hands: Hands,
    *,
    over: AbstractSet[str] = frozenset(),
    running: Mapping[str, float] | None = None,
) -> float:
    """Seconds until all steps have ended. `over` has ended, `running` maps ids to seconds so far.

    Time and space grow with the number of steps and edges, and one logarithm.
    """
    steps = [step for change in changes for step in change.steps if step.id not in over]
    return _Play(steps, with_hands, running or {}).through()


class _Play:
    def __init__(
        self, steps: Sequence[Step], with_hands: Hands, running: Mapping[str, float]
    ) -> None:
        self._hands = with_hands
        self._steps = {step.id: step for step in steps}
        self._waits: dict[str, int] = {}
        self._then = defaultdict[str, list[str]](list)
        self._ready = deque[str]()
        self._ending: list[tuple[float, str]] = []
        self._free = with_hands.slots
        self._clones: dict[Address, int] = defaultdict(int)
        self._held = defaultdict[Address, deque[str]](deque)
        self._now = 0.0
        for step in steps:
            before = [one for one in (*step.after, *step.behind) if one in self._steps]
            self._waits[step.id] = len(before)
            for one in before:
                self._then[one].append(step.id)
        for ident, so_far in running.items():
            if ident in self._steps:
                left = self._steps[ident].estimate_s - so_far
                self._start(self._steps[ident], left if left > 0 else so_far * _OVERRUN)
                if (source := self._source(self._steps[ident])) is not None:
                    self._clones[source] += 1
        for step in steps:
            if not self._waits[step.id] and step.id not in running:
                self._offer(step)

    def through(self) -> float:
        while True:
            while self._ready and self._free > 0:
                step = self._steps[self._ready.popleft()]
                self._start(step, step.estimate_s)
            if not self._ending:
                return self._now
            self._now, ident = heapq.heappop(self._ending)
            self._end(self._steps[ident])

    def _offer(self, step: Step) -> None:
        source = self._source(step)
        if step.name == "check":
            self._start(step, step.estimate_s)
        elif source is None:
            self._ready.append(step.id)
        elif self._clones[source] < self._hands.clones_per_source:
            self._clones[source] += 1
            self._ready.append(step.id)
        else:
            self._held[source].append(step.id)

    def _start(self, step: Step, seconds: float) -> None:
        if step.name != "check":
            self._free -= 1
        heapq.heappush(self._ending, (self._now + seconds, step.id))

    def _end(self, step: Step) -> None:
        if step.name != "check":
            self._free += 1
        if (source := self._source(step)) is not None:
            if self._held[source]:
                self._ready.append(self._held[source].popleft())
            else:
                self._clones[source] -= 1
        for ident in self._then[step.id]:
            self._waits[ident] -= 1
            if not self._waits[ident]:
                self._offer(self._steps[ident])

    def _source(self, step: Step) -> Address | None:
        return self._hands.sources.get(step.address) if step.name == "create" else None
