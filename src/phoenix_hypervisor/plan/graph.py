"""Turns decisions into a graph of steps: what must have succeeded before what."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest

_NEEDS_DEPENDENCIES = ("drain", "start", "configure", "check")
"""Steps that run software which may need what the guest depends on."""


def link(
    wanted: Mapping[Address, Sequence[str]], desired: Desired, estimates: Mapping[str, float]
) -> dict[Address, tuple[Step, ...]]:
    """Steps with their edges, for each address's step names in order.

    `estimates` maps step ids to seconds.
    """
    found: dict[Address, tuple[Step, ...]] = {}
    known = {address: step_ids(address, names) for address, names in wanted.items()}
    for address, names in wanted.items():
        ids = known[address]
        guest = desired.guests.get(address)
        steps = []
        for position, (name, ident) in enumerate(zip(names, ids, strict=True)):
            after = [ids[position - 1]] if position else []
            if guest is not None and not position:
                after += [*_resources(guest, wanted), *_source(guest, wanted, known)]
            if guest is not None and name in _NEEDS_DEPENDENCIES:
                after += _dependencies(guest, known)
            steps.append(Step(ident, address, name, tuple(after), estimates.get(ident, 0.0)))
        found[address] = tuple(steps)
    return found


def step_ids(address: Address, names: Sequence[str]) -> list[str]:
    """`lxc/101:start`; a step that comes twice gets a number, `lxc/101:start.2`."""
    ids: list[str] = []
    for position, name in enumerate(names):
        count = names[:position].count(name)
        ids.append(f"{address}:{name}.{count + 1}" if count else f"{address}:{name}")
    return ids


def waits_for(steps: Sequence[Step]) -> tuple[Address, ...]:
    """The other addresses that these steps wait for."""
    own = {step.address for step in steps}
    others = {Address(i.rpartition(":")[0]) for step in steps for i in step.after}
    return tuple(sorted(others - own, key=addresses.order))


def depths(changes: Sequence[Change]) -> dict[Address, int]:
    """How many changes, one behind the other, come before each: the order to show them in."""
    found: dict[Address, int] = {}
    waits = {change.address: change.after for change in changes}
    for address in TopologicalSorter(waits).static_order():
        before = [found[one] for one in waits.get(address, ())]
        found[address] = max(before, default=-1) + 1
    return found


def order_deletions(
    steps: Mapping[Address, tuple[Step, ...]], desired: Desired
) -> dict[Address, tuple[Step, ...]]:
    """Clones go before their source; pools and bridges after all that used them."""
    gone = [address for address, own in steps.items() if [s.name for s in own] == ["delete"]]
    freeing = tuple(
        step.id
        for address, own in steps.items()
        if addresses.is_guest(address)
        for step in own
        if step.name in ("create", "delete", "update")  # creating removes what is half made
    )
    found = dict(steps)
    for address in gone:
        (step,) = steps[address]
        if addresses.is_guest(address):
            clones = [clone for clone in clones_of(address, desired) if clone in gone]
            found[address] = (replace(step, after=tuple(f"{clone}:delete" for clone in clones)),)
        else:
            found[address] = (replace(step, after=freeing),)
    return found


def clones_of(address: Address, desired: Desired) -> list[Address]:
    """The guests that the files make from this one."""
    return [
        guest.address
        for guest in desired.guests.values()
        if isinstance(guest.source, CloneOf) and guest.source.address == address
    ]


def needs(guest: Guest) -> list[Address]:
    """The pools and bridges that a guest lies on."""
    pools = {guest.pool, *(volume.pool for volume in guest.volumes)}
    found = [addresses.storage(pool) for pool in sorted(p for p in pools if p)]
    return found + [addresses.bridge(nic.bridge) for nic in guest.nics]


def _resources(guest: Guest, wanted: Mapping[Address, Sequence[str]]) -> list[str]:
    if {"create", "update"}.isdisjoint(wanted[guest.address]):
        return []
    return [
        f"{one}:ensure" for one in dict.fromkeys(needs(guest)) if "ensure" in wanted.get(one, ())
    ]


def _source(
    guest: Guest, wanted: Mapping[Address, Sequence[str]], known: Mapping[Address, Sequence[str]]
) -> Sequence[str]:
    if not isinstance(guest.source, CloneOf) or "create" not in wanted[guest.address]:
        return []
    source = guest.source.address
    names = list(wanted.get(source, ()))
    if "snapshot" in names:
        return [known[source][names.index("snapshot")]]
    return known.get(source, ())[-1:]


def _dependencies(guest: Guest, known: Mapping[Address, Sequence[str]]) -> list[str]:
    return [ident for one in guest.dependencies for ident in known.get(one, ())[-1:]]
