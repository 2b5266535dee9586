"""Makes the plan: every decision of a run is taken here, before anything is changed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import graph, ledger, rolling, schedule
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.gone import asked_for, left_out
from phoenix_hypervisor.plan.guest import decide
from phoenix_hypervisor.plan.notes import notes
from phoenix_hypervisor.plan.options import Options


def make(desired: Desired, observed: Observed, driver: Driver, options: Options) -> Plan:
    """The whole difference between the files and the world."""
    scope = _scope(desired, options.targets)
    part = _part(desired, scope)
    decisions, refusals = _decisions(desired, observed, driver, options, scope)
    gone = left_out(desired, observed, driver, options)
    changes = changes_of(decisions | gone.deleted, desired, driver, options.proxies)
    gpus = ledger.make(desired, options.claims).about(scope)
    refusals += [one.text for one in gpus.refusals]
    told = (
        *driver.remarks(part),
        *gone.notes,
        *notes(part, desired, observed, changes, options.proxies),
    )
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        unmanaged=_unmanaged(desired, observed),
        refusals=(*refusals, *driver.problems(part, observed, changes)),
        notes=(*told, *gpus.notes),
        kept=tuple(gone.kept),
        estimate_s=schedule.whole(changes, desired, driver),
        basis=_Basis(desired, observed, driver, options),
        gpus=gpus.cards if gpus.used else (),
    )


def destroy(
    desired: Desired, observed: Observed, driver: Driver, wanted: frozenset[Address] | None
) -> Plan:
    """A plan that deletes these guests; None: all of the stack, with its pools and bridges."""
    gone = asked_for(desired, observed, wanted)
    changes = changes_of(gone.deleted, desired, driver)
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        refusals=tuple(gone.refusals),
        notes=tuple(gone.notes),
        estimate_s=schedule.whole(changes, desired, driver),
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
        if address not in scope or address in observed.resources:
            continue
        if address in observed.unknown:
            refusals.append(f"{address} can't be seen: {observed.unknown[address]}")
        elif not driver.limits.makes_resources:
            refusals.append(_missing(address, observed))
        else:
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


def _missing(address: Address, observed: Observed) -> str:
    kind = addresses.kind(address)
    there = sorted(addresses.ident(one) for one in observed.offered if addresses.kind(one) == kind)
    told = f"; there are {', '.join(there)}" if there else ""
    return f"{address} is not there, and guests use it: make it on the host, or name another{told}"


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
    source = [guest.source.address] if isinstance(guest.source, CloneOf) else []
    return [*guest.dependencies, *source, *graph.needs(guest)]


def _part(desired: Desired, scope: frozenset[Address]) -> Desired:
    """The desired state of the scope alone: what lies outside must not hinder it."""
    return replace(
        desired,
        guests={a: guest for a, guest in desired.guests.items() if a in scope},
        pools={a: pool for a, pool in desired.pools.items() if a in scope},
        bridges={a: bridge for a, bridge in desired.bridges.items() if a in scope},
    )


def changes_of(
    decisions: Mapping[Address, Decision],
    desired: Desired,
    driver: Driver,
    proxies: Mapping[Address, tuple[Address, ...]] | None = None,
) -> tuple[Change, ...]:
    """The decisions as changes with their steps, in an order that can be walked.

    `proxies`: as those of `Options`.
    """
    names = {address: decision.steps for address, decision in decisions.items()}
    estimates = {
        ident: driver.estimate(name, desired.guests.get(address))
        for address, steps in names.items()
        for name, ident in zip(steps, graph.step_ids(address, steps), strict=True)
    }
    linked = rolling.ordered(graph.link(names, desired, estimates), decisions, desired)
    steps = graph.order_deletions(linked, desired)
    steps = rolling.around_proxies(steps, desired, proxies or {})
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
    depths = graph.depths(changes)
    return tuple(sorted(changes, key=lambda c: (depths[c.address], addresses.order(c.address))))


def _unmanaged(desired: Desired, observed: Observed) -> tuple[Address, ...]:
    foreign = (a for a, seen in observed.guests.items() if seen.stack != desired.stack)
    return tuple(sorted(foreign, key=addresses.order))


class _Basis(Mapping[str, str]):
    """What a plan was made from. Digested when it is asked for: only a saved plan needs it."""

    def __init__(
        self, desired: Desired, observed: Observed, driver: Driver, options: Options
    ) -> None:
        self._digest = partial(_basis, desired, observed, driver, options)

    @cached_property
    def _found(self) -> dict[str, str]:
        return self._digest()

    def __getitem__(self, key: str) -> str:
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _basis(
    desired: Desired, observed: Observed, driver: Driver, options: Options
) -> dict[str, str]:
    basis: dict[str, str] = {}
    for address, guest in desired.guests.items():
        shape = [dict(driver.project(guest)), options.fingerprints.get(address), repr(guest)]
        basis[f"files {address}"] = _digest(shape)
    if options.claims:
        basis["files host/gpus"] = _digest(repr(desired.host.gpus))
    for address, resource in {**desired.pools, **desired.bridges}.items():
        basis[f"files {address}"] = _digest(repr(resource))
        if address in observed.resources:
            basis[f"live {address}"] = "there"
    for address, seen in observed.guests.items():
        if seen.stack == desired.stack or address in desired.guests:
            # Without addresses and the driver's token: they move with nobody's doing.
            basis[f"live {address}"] = _digest(
                [
                    dict(seen.fields),
                    seen.state,
                    seen.stack,
                    seen.complete,
                    seen.fingerprint,
                    [[s.name, s.fingerprint] for s in seen.snapshots],
                    seen.protected,
                    seen.pending,
                ]
            )
    return basis


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
