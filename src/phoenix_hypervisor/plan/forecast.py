"""The time that is left of a run, from its plan and the events so far."""

from collections import defaultdict

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.event import Event
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.schedule import Hands, remaining

_OVER = ("finished", "failed", "skipped")


class Forecast:
    """Told every event of a run, it says how long the rest will take."""

    def __init__(self, plan: Plan, hands: Hands) -> None:
        self._changes = plan.changes
        self._hands = hands
        self._ids = defaultdict[tuple[Address, str], list[str]](list)
        for change in plan.changes:
            for step in change.steps:
                self._ids[step.address, step.name].append(step.id)
        self._over: set[str] = set()
        self._running: dict[str, float] = {}

    def take(self, event: Event) -> None:
        """Notes what began or ended; other events say nothing new."""
        ident = self._step(event)
        if ident is None:
            return
        if event.event == "started":
            self._running[ident] = event.elapsed_s
        elif event.event in _OVER:
            self._running.pop(ident, None)
            self._over.add(ident)

    def left_s(self, elapsed_s: float) -> float:
        """Seconds until the last step ends, `elapsed_s` after the run's start."""
        so_far = {ident: elapsed_s - begin for ident, begin in self._running.items()}
        return remaining(self._changes, self._hands, over=self._over, running=so_far)

    def _step(self, event: Event) -> str | None:
        """The step that an event speaks of: the first of its name that has not ended."""
        if event.action == "verify":  # what no step of the plan checks
            return None
        ids = self._ids.get((event.address, event.step), ())
        return next((one for one in ids if one not in self._over), None)
