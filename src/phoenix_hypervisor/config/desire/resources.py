"""Storage pools and bridges: collected from the guests that use them."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_interface

from phoenix_hypervisor.config.desire.hosts.storage import storage_id
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.networks import interfaces
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Bridge, Guest, Nic, Pool


def pools(folder: Folder, guests: Iterable[Guest]) -> Mapping[Address, Pool]:
    """The pools of all disks and volumes, in the order of their first use."""
    sizes = folder.host.hypervisor.pools
    declared = set(_declared(folder))
    found: dict[Address, Pool] = {}
    for name in _used(guests):
        at = address.storage(name)
        size = sizes[name].size_gb if name in sizes else None
        found.setdefault(at, Pool(at, name, size, name in declared))
    return found


def _used(guests: Iterable[Guest]) -> Iterator[str]:
    for guest in guests:
        if guest.pool is not None:
            yield guest.pool
        for volume in guest.volumes:
            if volume.pool is not None:
                yield volume.pool


def _declared(folder: Folder) -> Iterator[str]:
    """Storages that the host file makes: a dataset's storage is named `pool-dataset`."""
    for pool in folder.host.zfs.pools:
        yield pool.name
    for dataset in folder.host.zfs.datasets:
        yield storage_id(dataset)
    yield from folder.host.proxmox_storage_ids.values()


def bridges(folder: Folder, guests: Iterable[Guest]) -> Mapping[Address, Bridge]:
    """The bridges of all network cards; each has its guests' gateway as its own address."""
    declared = interfaces(folder.host)
    found: dict[Address, Bridge] = {}
    for guest in guests:
        for nic in guest.nics:
            at = address.bridge(nic.bridge)
            known = found.get(at)
            if known is None or known.cidr is None:
                cidr = _cidr(nic)
                found[at] = Bridge(at, nic.bridge, cidr, nic.bridge in declared)
    for at, bridge in found.items():
        own = declared[bridge.name].address if bridge.declared else None
        if bridge.cidr is None and own not in (None, "dhcp"):
            found[at] = Bridge(at, bridge.name, own, declared=True)
    return found


def _cidr(nic: Nic) -> str | None:
    if nic.gateway is None or nic.address in (None, "dhcp"):
        return None
    return f"{nic.gateway}/{ip_interface(nic.address).network.prefixlen}"
