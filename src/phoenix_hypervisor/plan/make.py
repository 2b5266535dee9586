"""Makes the plan: every decision of a run is taken here, before anything is changed."""

import hashlib
import json
from collections.abc import Mapping

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, Impact
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import graph
from phoenix_hypervisor.plan.guest import Decision, decide
from phoenix_hypervisor.plan.options import Options


def make(desired: Desired, observed: Observed, driver: Driver, options: Options) -> Plan:
    """The whole difference between the files and the world."""
    scope = _scope(desired, options.targets)
    decisions, refusals = _decisions(desired, observed, driver, options, scope)
    deleted, kept, kept_notes = _gone(desired, observed, options)
    decisions |= deleted
    refusals += driver.problems(desired, observed)
    changes = _changes(decisions, desired, driver)
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        unmanaged=_unmanaged(desired, observed),
        refusals=tuple(refusals),
        notes=(*driver.remarks(desired), *kept_notes),
        kept=kept,
        estimate_s=graph.duration(changes),
        basis=_basis(desired, observed, driver, options),
    )


def destroy(
    desired: Desired, observed: Observed, driver: Driver, wanted: frozenset[Address] | None
) -> Plan:
    """A plan that deletes these guests; None: all of the stack, with its pools and bridges."""
    mine = {a: g for a, g in observed.guests.items() if g.stack == desired.stack}
    decisions: dict[Address, Decision] = {}
    refusals: list[str] = []
    for address in sorted(mine if wanted is None else wanted, key=addresses.order):
        seen = mine.get(address)
        if seen is None:
            refusals.append(_not_mine(address, observed.guests.get(address)))
        elif _protected(address, seen, desired):
            refusals.append(f"{address} is protected: it is never deleted, whatever is asked")
        else:
            decisions[address] = _deletion("asked for")
    if wanted is None and not refusals:
        for address, resource in observed.resources.items():
            if resource.stack == desired.stack:
                decisions[address] = _deletion("nothing of the stack uses it any more")
    changes = _changes(decisions, desired, driver)
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        refusals=tuple(refusals),
        estimate_s=graph.duration(changes),
    )


def _decisions(
    desired: Desired,
    observed: Observed,
    driver: Driver,
    options: Options,
    scope: frozenset[Address],
) -> tuple[dict[Address, Decision], list[str]]:
    found: dict[Address, Decision] = {}
    refusals: list[str] = []
    for address in (*desired.pools, *desired.bridges):
        if address in scope and address not in observed.resources:
            reason = "it is not there, and guests use it"
            found[address] = Decision(Action.CREATE, ("ensure",), reasons=(reason,))
    for address in sorted(scope & set(desired.guests), key=addresses.order):
        if address in observed.unknown:
            refusals.append(f"{address} can't be seen: {observed.unknown[address]}")
            continue
        guest = desired.guests[address]
        decision = decide(guest, observed.guests.get(address), desired, driver, options)
        refusals += decision.refusals
        if decision.action is not None:
            found[address] = decision
    return found, refusals


def _scope(desired: Desired, targets: frozenset[Address]) -> frozenset[Address]:
    """The targets and everything they need, without which they can't be made."""
    everything = {*desired.guests, *desired.pools, *desired.bridges}
    if not targets:
        return frozenset(everything)
    found: set[Address] = set()
    todo = list(targets)
    while todo:
        address = todo.pop()
        if address in found:
            continue
        found.add(address)
        guest = desired.guests.get(address)
        if guest is not None:
            todo += _needs(guest)
    return frozenset(found & everything)


def _needs(guest: Guest) -> list[Address]:
    needed = list(guest.dependencies)
    if isinstance(guest.source, CloneOf):
        needed.append(guest.source.address)
    pools = (guest.pool, *(volume.pool for volume in guest.volumes))
    needed += [addresses.storage(pool) for pool in pools if pool]
    return needed + [addresses.bridge(nic.bridge) for nic in guest.nics]


def _gone(
    desired: Desired, observed: Observed, options: Options
) -> tuple[dict[Address, Decision], tuple[Address, ...], tuple[str, ...]]:
    """What the stack owns but the files no longer name: deleted with `prune`, else told."""
    deleted: dict[Address, Decision] = {}
    kept: list[Address] = []
    notes: list[str] = []
    for address, seen in sorted(observed.guests.items(), key=lambda pair: addresses.order(pair[0])):
        if seen.stack != desired.stack or address in desired.guests:
            continue
        if options.targets and address not in options.targets:
            continue
        if not options.prune:
            kept.append(address)
        elif seen.protected:
            notes.append(f"{address} is no longer in the files, but protected: it is kept")
        else:
            deleted[address] = _deletion("it is no longer in the files")
    wanted = {*desired.pools, *desired.bridges}
    for address, resource in observed.resources.items():
        if resource.stack == desired.stack and address not in wanted and not options.targets:
            if options.prune:
                deleted[address] = _deletion("nothing in the files uses it any more")
            else:
                kept.append(address)
    return deleted, tuple(kept), tuple(notes)


def _changes(
    decisions: Mapping[Address, Decision], desired: Desired, driver: Driver
) -> tuple[Change, ...]:
    names = {address: decision.steps for address, decision in decisions.items()}
    estimates = {
        ident: driver.estimate(name, desired.guests.get(address))
        for address, steps in names.items()
        for name, ident in zip(steps, graph.step_ids(address, steps), strict=True)
    }
    steps = graph.link(names, desired, estimates)
    steps = graph.resources_last(steps)
    changes = []
    for address, decision in decisions.items():
        if decision.action is None:
            continue
        own = steps[address]
        guest = desired.guests.get(address)
        change = Change(
            address=address,
            action=decision.action,
            impact=decision.impact,
            fields=decision.fields,
            reason="; ".join(decision.reasons),
            after=graph.waits_for(own),
            estimate_s=sum(step.estimate_s for step in own),
            name=guest.name if guest else "",
            steps=own,
        )
        changes.append(change)
    return tuple(sorted(changes, key=_shown_order))


def _shown_order(change: Change) -> tuple[bool, bool, tuple[str, int, str]]:
    # Resources first, deletions last: the order in which a reader expects things to happen.
    deletes = change.action is Action.DELETE
    is_guest = addresses.is_guest(change.address)
    return (deletes, is_guest is not deletes, addresses.order(change.address))


def _deletion(reason: str) -> Decision:
    return Decision(Action.DELETE, ("delete",), Impact.DESTRUCTIVE, reasons=(reason,))


def _protected(address: Address, seen: SeenGuest, desired: Desired) -> bool:
    guest = desired.guests.get(address)
    return seen.protected or (guest is not None and guest.protected)


def _not_mine(address: Address, seen: SeenGuest | None) -> str:
    if seen is None:
        return f"{address} is not there"
    return f"{address} was not made by this stack: it is left alone"


def _unmanaged(desired: Desired, observed: Observed) -> tuple[Address, ...]:
    foreign = (a for a, seen in observed.guests.items() if seen.stack != desired.stack)
    return tuple(sorted(foreign, key=addresses.order))


def _basis(
    desired: Desired, observed: Observed, driver: Driver, options: Options
) -> dict[str, str]:
    basis: dict[str, str] = {}
    for address, guest in desired.guests.items():
        shape = [dict(driver.project(guest)), options.fingerprints.get(address), repr(guest)]
        basis[f"files {address}"] = _digest(shape)
    for address, seen in observed.guests.items():
        if seen.stack == desired.stack or address in desired.guests:
            live = [
                dict(seen.fields),
                seen.state,
                seen.stack,
                seen.complete,
                seen.fingerprint,
                [[s.name, s.fingerprint] for s in seen.snapshots],
            ]
            basis[f"live {address}"] = _digest(live)
    for address in sorted({*desired.pools, *desired.bridges} & set(observed.resources)):
        basis[f"live {address}"] = "there"
    return basis


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
