"""A simulated node that writes down every call that changes something, so that what an apply did
can be held against what its plan said.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.unit.apply.nodes import WithInside
from tests.unit.plan.worlds import prints

from phoenix_hypervisor.drivers.sim.store import KeptGuest
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, Step
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its words, and when it began and ended, counted in calls and ends of calls."""

    address: Address
    words: tuple[object, ...]
    begin: int
    end: int


@dataclass(slots=True)
class Log:
    """All calls of one apply, in the order in which they began."""

    calls: list[Call] = field(default_factory=list)
    clock: int = 0

    @asynccontextmanager
    async def note(self, address: Address, *words: object) -> AsyncIterator[None]:
        """Writes one call down, also one that fails."""
        self.clock += 1
        place, begin = len(self.calls), self.clock
        self.calls.append(Call(address, words, begin, -1))
        try:
            yield
        finally:
            self.clock += 1
            self.calls[place] = Call(address, words, begin, self.clock)

    def of(self, address: Address) -> list[Call]:
        """The calls for one address."""
        return [call for call in self.calls if call.address == address]


def recording(log: Log) -> type[WithInside]:
    """A driver of the simulated node that writes into this log all but the calls that only look.

    A call's words are its method and its arguments, without those that only help (`_HELP`).
    """
    recorded = {
        name: _recorded(log, name)
        for name, _ in inspect.getmembers(Driver, inspect.iscoroutinefunction)
        if not name.startswith("_") and name not in LOOKS
    }
    return type("Recording", (WithInside,), recorded)


LOOKS = {"observe", "addresses", "way_in", "terminal", "console", "snapshots"}
_HELP = {"self", "tell", "desired", "seen", "stack"}


def _recorded(log: Log, name: str) -> Callable[..., Coroutine[Any, Any, object]]:
    real = getattr(WithInside, name)

    async def call(*given: Any, **named: Any) -> object:
        bound = inspect.signature(real).bind(*given, **named)
        bound.apply_defaults()
        thing: Any = given[1]
        words = [value for key, value in bound.arguments.items() if key not in _HELP]
        async with log.note(getattr(thing, "address", thing), name, *words):
            return await real(*given, **named)

    return call


def expected(step: Step, change: Change, folder: Desired) -> list[tuple[object, ...]]:
    """The calls that a step stands for, by the contract's own words."""
    address = step.address
    if step.name == "delete" and not addresses.is_guest(address):
        return [("remove", address)]
    if step.name == "delete":
        return [("delete", address, change.action is Action.REPLACE)]
    if step.name == "ensure":
        return [("ensure", {**folder.pools, **folder.bridges}[address])]
    if step.name == "stop":
        return [("stop", address, None)]  # within its usual limit
    guest = folder.guests[address]
    if step.name == "configure":
        wanted = prints(folder)[address]
        return [("mark", address, None), ("configure",), ("mark", address, wanted)]
    found: dict[str, tuple[object, ...]] = {
        "create": ("create", guest),
        "update": ("update", guest, change.fields),
        "start": ("start", guest),
        "snapshot": ("snapshot", address, guest.snapshot_name, True),
        "check": ("check",),
    }
    return [found[step.name]]


def compare(plan: Plan, log: Log, folder: Desired) -> None:
    """Fails where a call is missing, is one too many, or came before one that it waits for."""
    spans: dict[str, tuple[int, int]] = {}
    assert {call.address for call in log.calls} == {change.address for change in plan.changes}
    for change in plan.changes:
        made = log.of(change.address)
        wanted = [
            (step, words) for step in change.steps for words in expected(step, change, folder)
        ]
        assert [call.words for call in made] == [words for _, words in wanted]
        assert all(first.end < second.begin for first, second in pairwise(made))
        for (step, _), call in zip(wanted, made, strict=True):
            begin, _ = spans.get(step.id, (call.begin, 0))
            spans[step.id] = (begin, call.end)
    for step in (step for change in plan.changes for step in change.steps):
        for before in step.after:
            assert spans[before][1] < spans[step.id][0], f"{step.id} did not wait for {before}"


def data(kept: KeptGuest) -> dict[str, tuple[object, int]]:
    """Where a guest's data lies: each disk's place, and its size in GiB (0 where it isn't said)."""

    def size(value: object) -> int:
        return value if isinstance(value, int) else 0

    found = {"root": (kept.fields.get("pool"), size(kept.fields.get("disk_gb")))}
    for path, value in kept.fields.items():
        group, _, rest = path.partition(".")
        name, _, leaf = rest.rpartition(".")
        if group == "volumes" and leaf == "pool":
            found[name] = (value, size(kept.fields.get(f"volumes.{name}.size_gb")))
        elif group == "volumes":
            found.setdefault(name, (None, size(kept.fields.get(f"volumes.{name}.size_gb"))))
    return found


def lost(before: KeptGuest, after: KeptGuest | None) -> list[str]:
    """Disks whose data can't be there any more: gone, elsewhere, or smaller."""
    if after is None:
        return list(data(before))
    now = data(after)
    gone = []
    for disk, (place, size) in data(before).items():
        there, left = now.get(disk, (None, 0))
        # Where one of them leaves its place or size open, nothing moved.
        moved = place is not None and there is not None and there != place
        if disk not in now or moved or 0 < left < size:
            gone.append(disk)
    return gone
