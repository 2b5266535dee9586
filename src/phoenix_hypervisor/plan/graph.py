"""Turns decisions into a graph of steps: what must have succeeded before what."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, Step
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest

_NEEDS_DEPENDENCIES = ("start", "configure", "check")
"""Steps that run software which may need what the guest depends on."""


def link(
    wanted: Mapping[Address, Sequence[str]], desired: Desired, estimates: Mapping[str, float]
) -> dict[Address, tuple[Step, ...]]:
    """Steps with their edges, for each address's step names in order.

    `estimates` maps step ids to seconds.
    """
    found: dict[Address, tuple[Step, ...]] = {}
    for address, names in wanted.items():
        ids = step_ids(address, names)
        guest = desired.guests.get(address)
        steps = []
        for position, (name, ident) in enumerate(zip(names, ids, strict=True)):
            after = [ids[position - 1]] if position else []
            if guest is not None:
                after += _outer(guest, name, position, wanted)
            steps.append(Step(ident, address, name, tuple(after), estimates.get(ident, 0.0)))
        found[address] = tuple(steps)
    return found


def step_ids(address: Address, names: Sequence[str]) -> list[str]:
    """`lxc/101:start`; a step that comes twice gets a number, `lxc/101:start.2`."""
    ids: list[str] = []
    for name in names:
        count = sum(1 for earlier in ids if earlier.rpartition(":")[2].split(".")[0] == name)
        ids.append(f"{address}:{name}" + (f".{count + 1}" if count else ""))
    return ids


def waits_for(steps: Sequence[Step]) -> tuple[Address, ...]:
    """The other addresses that these steps wait for."""
    own = {step.address for step in steps}
    others = {Address(i.rpartition(":")[0]) for step in steps for i in step.after}
    return tuple(sorted(others - own, key=addresses.order))


def duration(changes: Sequence[Change]) -> float:
    """Seconds along the longest path, as if everything could run at once."""
    steps = {step.id: step for change in changes for step in change.steps}
    graph = {i: [a for a in step.after if a in steps] for i, step in steps.items()}
    ends: dict[str, float] = {}
    for ident in TopologicalSorter(graph).static_order():
        begin = max((ends[before] for before in graph[ident]), default=0.0)
        ends[ident] = begin + steps[ident].estimate_s
    return max(ends.values(), default=0.0)


def _outer(
    guest: Guest, name: str, position: int, wanted: Mapping[Address, Sequence[str]]
) -> list[str]:
    after: list[str] = []
    if position == 0 and name in ("create", "update", "delete"):
        after += _resources(guest, wanted)
    if name == "create" and isinstance(guest.source, CloneOf):
        source = guest.source.address
        names = wanted.get(source, ())
        ids = step_ids(source, names)
        if "snapshot" in names:
            after.append(ids[list(names).index("snapshot")])
        elif ids:
            after.append(ids[-1])
    if name in _NEEDS_DEPENDENCIES:
        for dependency in guest.dependencies:
            if ids := step_ids(dependency, wanted.get(dependency, ())):
                after.append(ids[-1])
    return after


def _resources(guest: Guest, wanted: Mapping[Address, Sequence[str]]) -> list[str]:
    pools = {guest.pool, *(volume.pool for volume in guest.volumes)}
    needed = [addresses.storage(pool) for pool in sorted(p for p in pools if p)]
    needed += [addresses.bridge(nic.bridge) for nic in guest.nics]
    return [f"{one}:ensure" for one in dict.fromkeys(needed) if "ensure" in wanted.get(one, ())]


def resources_last(steps: Mapping[Address, tuple[Step, ...]]) -> dict[Address, tuple[Step, ...]]:
    """Pools and bridges are deleted after every guest that is deleted."""
    guests = tuple(
        step.id
        for address, own in steps.items()
        if addresses.is_guest(address)
        for step in own
        if step.name == "delete"
    )
    return {
        address: tuple(replace(step, after=step.after + guests) for step in own)
        if not addresses.is_guest(address) and own[-1].name == "delete"
        else own
        for address, own in steps.items()
    }
