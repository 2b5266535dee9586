"""Addresses of simulated guests: the static ones, and what a DHCP server would have given."""

from collections.abc import Iterator
from ipaddress import ip_interface

from phoenix_hypervisor.drivers.fields import grouped
from phoenix_hypervisor.drivers.sim.store import World
from phoenix_hypervisor.model.address import Address, bridge


def given_addresses(world: World, guest: Address) -> list[str]:
    """The guest's addresses, v4 first. A bridge without an address of its own leases none."""
    taken = {ip for other, kept in world.guests.items() if other != guest for ip in kept.addresses}
    found: list[str] = []
    for nic in grouped(world.guests[guest].fields, "network").values():
        address = nic.get("address")
        if address == "dhcp":
            free = (ip for ip in _leases(world, str(nic["bridge"])) if ip not in taken)
            found += [ip for ip in [next(free, None)] if ip is not None]
        elif isinstance(address, str):
            found.append(address.partition("/")[0])
        taken.update(found)
    return sorted(found, key=lambda ip: ":" in ip)


def _leases(world: World, name: str) -> Iterator[str]:
    """The host addresses of a bridge's subnet, its own one left out."""
    kept = world.resources.get(bridge(name))
    cidr = kept.fields.get("cidr") if kept is not None else None
    if cidr is None:
        return
    own = ip_interface(cidr)
    for ip in own.network.hosts():
        if ip != own.ip:
            yield str(ip)
