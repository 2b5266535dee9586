"""What the stack owns and nobody asks for any more: what is deleted, and what is kept and why."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Fields, Observed, SeenGuest
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.diff import after
from phoenix_hypervisor.plan.options import Options


@dataclass(slots=True)
class Gone:
    """`kept`: what pruning would delete. `notes`: what even pruning leaves, with the reason."""

    deleted: dict[Address, Decision] = field(default_factory=dict)
    kept: list[Address] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def left_out(desired: Desired, observed: Observed, driver: Driver, options: Options) -> Gone:
    """What the stack owns but the files no longer name: deleted with `prune`, else kept."""
    found = Gone()
    mine = _of_stack(observed, desired.stack)
    guests = [
        seen
        for seen in mine
        if seen.address not in desired.guests
        if not options.targets or seen.address in options.targets
    ]
    unused = [] if options.targets else _unnamed(desired, observed, driver)
    if not options.prune:
        found.kept = [*(seen.address for seen in guests), *unused]
        return found
    for seen in guests:
        if seen.protected:
            found.notes.append(f"{seen.address} is no longer in the files, but protected: kept")
        else:
            found.deleted[seen.address] = deletion("it is no longer in the files")
    # A guest of the files that still lies on one of these is moved off by this plan.
    moving = {seen.address for seen in mine} & set(desired.guests)
    _delete_unused(found, unused, observed, moving, "nothing in the files uses it any more")
    return found


def asked_for(desired: Desired, observed: Observed, wanted: frozenset[Address] | None) -> Gone:
    """These guests; None: all of the stack but the protected ones, with its pools and bridges."""
    found = Gone()
    mine = {seen.address: seen for seen in _of_stack(observed, desired.stack)}
    unseen = [a for a in observed.unknown if wanted is None or a in wanted]
    found.refusals = [f"{a} can't be seen: {observed.unknown[a]}" for a in unseen]
    for address in mine if wanted is None else sorted(wanted, key=addresses.order):
        seen = mine.get(address)
        if address in unseen:
            continue
        if seen is None:
            found.refusals.append(_not_mine(address, observed.guests.get(address)))
        elif not _protected(seen, desired):
            found.deleted[address] = deletion("asked for")
        elif wanted is None:
            found.notes.append(f"{address} is protected: kept")
        else:
            found.refusals.append(f"{address} is protected: it is never deleted, whatever is asked")
    if wanted is None:
        unused = _resources(observed, desired.stack)
        _delete_unused(found, unused, observed, set(), "nothing of the stack uses it any more")
    return found


def deletion(reason: str) -> Decision:
    """The decision to delete a guest, pool or bridge."""
    return Decision(Action.DELETE, ("delete",), Impact.DESTRUCTIVE, reasons=(reason,))


def _delete_unused(
    found: Gone, unused: Iterable[Address], observed: Observed, moving: set[Address], reason: str
) -> None:
    leaving = {*found.deleted, *moving}
    staying = {a: seen for a, seen in observed.guests.items() if a not in leaving}
    for address in unused:
        if users := [a for a, seen in staying.items() if address in _used(seen.fields)]:
            found.notes.append(f"{address} is still used by {', '.join(users)}: kept")
        else:
            found.deleted[address] = deletion(reason)


def _unnamed(desired: Desired, observed: Observed, driver: Driver) -> list[Address]:
    """The stack's pools and bridges that no guest of the files lies on."""
    named = {*desired.pools, *desired.bridges}
    rest = [one for one in _resources(observed, desired.stack) if one not in named]
    used = _still_used(desired, observed, driver) if rest else set()
    return [one for one in rest if one not in used]


def _still_used(desired: Desired, observed: Observed, driver: Driver) -> set[Address]:
    """Where the guests of the files lie after this plan, also where the files leave that open."""
    found: set[Address] = set()
    for address, guest in desired.guests.items():
        seen = observed.guests.get(address)
        found |= _used(after(driver.project(guest), seen.fields if seen else {}))
    return found


def _used(fields: Fields) -> set[Address]:
    """The pools and bridges that a guest with these fields lies on."""
    found: set[Address] = set()
    for path, value in fields.items():
        match path.partition(".")[0], path.rpartition(".")[2]:
            case ("pool" | "volumes", "pool"):
                found.add(addresses.storage(str(value)))
            case ("network", "bridge"):
                found.add(addresses.bridge(str(value)))
    return found


def _of_stack(observed: Observed, stack: str) -> list[SeenGuest]:
    mine = [seen for seen in observed.guests.values() if seen.stack == stack]
    return sorted(mine, key=lambda seen: addresses.order(seen.address))


def _resources(observed: Observed, stack: str) -> list[Address]:
    mine = [address for address, one in observed.resources.items() if one.stack == stack]
    return sorted(mine, key=addresses.order)


def _protected(seen: SeenGuest, desired: Desired) -> bool:
    guest = desired.guests.get(seen.address)
    return seen.protected or (guest is not None and guest.protected)


def _not_mine(address: Address, seen: SeenGuest | None) -> str:
    if seen is None:
        return f"{address} is not there"
    return f"{address} was not made by this stack: it is left alone"
