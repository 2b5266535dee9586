"""How long steps will take, by how long the same work took before; else by the driver's word."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, Step
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.schedule import Hands, remaining

LAST = 5
"""So many of the last times count."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that work took: of one address, and of any."""

    here: Mapping[tuple[str, Address], float]
    anywhere: Mapping[str, float]

    def of(self, work: str, address: Address) -> float | None:
        """What this work is expected to take; None where it was never seen."""
        here = self.here.get((work, address))
        return self.anywhere.get(work) if here is None else here


def pace(samples: Iterable[tuple[str, Address, float]]) -> Pace:
    """The median of the last times, from work, address and seconds, the newest first."""
    here = defaultdict[tuple[str, Address], list[float]](list)
    anywhere = defaultdict[str, list[float]](list)
    for work, address, seconds in samples:
        for taken in (here[work, address], anywhere[work]):
            if len(taken) < LAST:
                taken.append(seconds)
    return Pace(
        {key: median(taken) for key, taken in here.items()},
        {key: median(taken) for key, taken in anywhere.items()},
    )


def work(step: Step, change: Change, guest: Guest | None, driver: Driver) -> str:
    """The kind of work that a step is: steps with the same take about as long.

    What the driver itself expects is part of it, since it knows of conditions that nothing else
    tells, such as an image that has to be built first.
    """
    words = [step.name, f"{driver.estimate(step.name, guest):g}"]
    if guest is not None:
        words.append(guest.kind)
    if step.name == "make":
        words.append(step.address)  # each part of a host has work of its own
    if step.name == "create" and guest is not None:
        words.append(_source(guest))
    if step.name in ("configure", "check") and guest is not None:
        fresh = change.action in (Action.CREATE, Action.REPLACE)
        features = [use.name for use in guest.features]
        words += ["new" if fresh else "again", *features, *["script"] * bool(guest.script)]
    return " ".join(words)


def works(
    plan: Plan, desired: Desired, driver: Driver
) -> dict[tuple[Address, str], tuple[str, ...]]:
    """The work of every step, by its address and name: several where a name comes again."""
    found = defaultdict[tuple[Address, str], list[str]](list)
    for change in plan.changes:
        guest = desired.guests.get(change.address)
        for step in change.steps:
            found[step.address, step.name].append(work(step, change, guest, driver))
    return {key: tuple(each) for key, each in found.items()}


def refined(plan: Plan, desired: Desired, driver: Driver, known: Pace, hands: Hands) -> Plan:
    """The same plan with what is known in its estimates. Nothing else of it is changed."""
    changes = tuple(_change(change, desired, driver, known) for change in plan.changes)
    return replace(plan, changes=changes, estimate_s=remaining(changes, hands))


def _change(change: Change, desired: Desired, driver: Driver, known: Pace) -> Change:
    guest = desired.guests.get(change.address)
    steps = tuple(_step(step, change, guest, driver, known) for step in change.steps)
    return replace(change, steps=steps, estimate_s=sum(one.estimate_s for one in steps))


def _step(step: Step, change: Change, guest: Guest | None, driver: Driver, known: Pace) -> Step:
    seconds = known.of(work(step, change, guest, driver), step.address)
    return step if seconds is None else replace(step, estimate_s=seconds)


def _source(guest: Guest) -> str:
    if isinstance(guest.source, CloneOf):
        return f"clone {guest.source.address}"
    return f"image {guest.source.template}"
