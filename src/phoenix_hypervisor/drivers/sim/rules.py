"""What the simulated node refuses, as pure functions of its state: ids, capacity, references."""

from collections.abc import Sequence
from dataclasses import dataclass

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.sim.store import KeptGuest, World
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.desired import Bridge, Capacity, Desired, Guest, Json, Pool
from phoenix_hypervisor.model.errors import Conflict, NotFound, Unsupported
from phoenix_hypervisor.model.observed import Fields, Observed, SeenGuest

AMPLE = Capacity(memory_mb=1024 * 1024, cores=256, storage_gb=100 * 1024)
"""What a node has where the files declare nothing."""


def capacity(desired: Desired) -> Capacity:
    """The declared capacity, each open value filled from the ample one."""
    declared = desired.host.capacity
    return Capacity(
        memory_mb=AMPLE.memory_mb if declared.memory_mb is None else declared.memory_mb,
        cores=AMPLE.cores if declared.cores is None else declared.cores,
        storage_gb=AMPLE.storage_gb if declared.storage_gb is None else declared.storage_gb,
    )


def resource_fields(resource: Pool | Bridge) -> dict[str, Json]:
    """The fields of a pool or bridge."""
    if isinstance(resource, Pool):
        return {} if resource.size_gb is None else {"size_gb": resource.size_gb}
    return {} if resource.cidr is None else {"cidr": resource.cidr}


def problems(desired: Desired, observed: Observed, stack: str) -> list[str]:
    """Why the desired state does not fit onto the node beside what others have there."""
    found = [
        f"{guest.address}: the id is taken by {twin}"
        for guest in desired.guests.values()
        if (twin := _twin(guest.address)) in observed.guests and twin not in desired.guests
    ]
    have = capacity(desired)
    shown = {at: seen.fields for at, seen in observed.guests.items() if seen.stack != stack}
    shown |= {at: words.guest_fields(guest) for at, guest in desired.guests.items()}
    for at, guest in desired.guests.items():
        if have.cores is not None and guest.cores > have.cores:
            found.append(f"{at}: {guest.cores} cores are wanted, the node has {have.cores}")
    return found + [short.told for short in _shortfalls(shown, have)]


def check_id_free(world: World, address: Address) -> None:
    """Raises `Conflict` where a guest has this id; containers and VMs share their ids."""
    for taken in (address, _twin(address)):
        if taken in world.guests:
            raise Conflict(
                f"the id of {address} is taken by {taken}, which is not of this making",
                hint="give the guest another id, or remove the other one by hand",
            )


def fits(world: World, guest: Guest, have: Capacity) -> None:
    """Raises where the guest lacks its pools or bridges, or asks for more than there is."""
    for needed in _needs(words.guest_fields(guest)):
        if needed not in world.resources:
            raise NotFound(f"{guest.address} needs {needed}, which is not there")
    if have.cores is not None and guest.cores > have.cores:
        raise Unsupported(
            f"{guest.address}: {guest.cores} cores are wanted, the node has {have.cores}"
        )
    shown: dict[Address, Fields] = {Address(at): kept.fields for at, kept in world.guests.items()}
    shown[guest.address] = words.guest_fields(guest)
    for short in _shortfalls(shown, have):
        raise Unsupported(f"{guest.address}: {short.told}", hint=short.hint)


def check_update(
    guest: Guest, seen: SeenGuest, kept: KeptGuest, changes: Sequence[FieldChange]
) -> None:
    """Raises `Conflict` where the fields moved meanwhile, `Unsupported` for what can't change."""
    for change in changes:
        if kept.fields.get(change.path) != seen.fields.get(change.path):
            raise Conflict(f"{guest.address}: {change.path} was changed since the plan was made")
        if change.path == "pool" or (change.path == "disk_gb" and _shrinks(change)):
            raise Unsupported(
                f"{guest.address}: {change.path} can't be changed in place",
                hint="the guest has to be made anew",
            )


def users(world: World, resource: Address) -> list[str]:
    """The guests that use a pool or bridge."""
    return [at for at, kept in world.guests.items() if resource in _needs(kept.fields)]


@dataclass(frozen=True, slots=True)
class _Short:
    told: str
    hint: str


def _shortfalls(shown: dict[Address, Fields], have: Capacity) -> list[_Short]:
    found: list[_Short] = []
    memory = sum(_number(f.get("memory_mb")) for at, f in shown.items() if at.startswith("vm/"))
    if have.memory_mb is not None and memory > have.memory_mb:
        told = f"the VMs want {memory} MB of memory, the node has {have.memory_mb} MB"
        found.append(_Short(told, "give the VMs less memory"))
    storage = sum(_storage(fields) for fields in shown.values())
    if have.storage_gb is not None and storage > have.storage_gb:
        told = f"disks and volumes want {storage} GB, the node has {have.storage_gb} GB"
        found.append(_Short(told, "make disks smaller or remove guests"))
    return found


def _storage(fields: Fields) -> int:
    total = _number(fields.get("disk_gb"))
    if any(path.startswith("volumes.") for path in fields):
        volumes = words.grouped(fields, "volumes").values()
        total += sum(_number(volume.get("size_gb")) for volume in volumes)
    return total


def _needs(fields: Fields) -> set[Address]:
    pools = [
        fields.get("pool"),
        *(v.get("pool") for v in words.grouped(fields, "volumes").values()),
    ]
    bridges = [nic.get("bridge") for nic in words.grouped(fields, "network").values()]
    return {addresses.storage(str(pool)) for pool in pools if pool is not None} | {
        addresses.bridge(str(name)) for name in bridges if name is not None
    }


def _twin(address: Address) -> Address:
    number = int(addresses.ident(address))
    return addresses.vm(number) if addresses.kind(address) == "lxc" else addresses.lxc(number)


def _shrinks(change: FieldChange) -> bool:
    return _number(change.after) < _number(change.before)


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0
