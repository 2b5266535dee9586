"""Addresses and the subnets they belong to: the gateway's, the bridge's, the host's."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.ip import ip_address, ip_interface
from phoenix_hypervisor.config.networks import bridge_of, interfaces
from phoenix_hypervisor.model.problem import Problem

_IP = ("network_config", "ip")
_GW = ("network_config", "gw")


def find(folder: Folder) -> Iterator[Problem]:
    """Addresses outside their subnet, and bridges whose guests name different gateways."""
    declared = {
        name: ip_interface(interface.address).network
        for name, interface in interfaces(folder.host).items()
        if interface.address not in (None, "dhcp")
    }
    for guest in folder.guests:
        yield from _of_guest(folder, guest, declared)
    if folder.driver != "proxmox":
        yield from _gateways(folder, set(interfaces(folder.host)))


def _of_guest(
    folder: Folder, guest: AnyEntry, declared: dict[str, IPv4Network | IPv6Network]
) -> Iterator[Problem]:
    network = guest.words.network_config
    if network is None or network.ip in (None, "dhcp"):
        return
    interface = ip_interface(network.ip)
    bridge = bridge_of(folder, guest)
    hint = f"the subnet of {network.ip} is {interface.network}"
    if network.gw is not None and ip_address(network.gw) not in interface.network:
        message = f"the address {network.ip} is outside the subnet of its gateway {network.gw}"
        yield guest.spot.error(_IP, message, hint)
    elif bridge in declared and interface.ip not in declared[bridge]:
        message = f"the address {network.ip} is outside the subnet of {bridge}, {declared[bridge]}"
        yield guest.spot.error(_IP, message, f"choose an address in {declared[bridge]}")
    elif network.gw is None and bridge not in declared and not _in_default(folder, network.ip):
        subnet = folder.host.network.default_subnet
        message = f"the address {network.ip} is outside the default subnet {subnet}"
        yield guest.spot.warning(_IP, message, "without a gateway it reaches nobody there")


def _in_default(folder: Folder, address: str | None) -> bool:
    subnet = folder.host.network.default_subnet
    if subnet is None or address is None:
        return True
    parts = [part.strip() for part in subnet.split(",")]
    return any("-" in part or ip_interface(address).ip in ip_network(part, False) for part in parts)


def _gateways(folder: Folder, declared: set[str]) -> Iterator[Problem]:
    """A bridge that Phoenix makes has one address: the gateway of all its guests."""
    first: dict[str, tuple[str, AnyEntry]] = {}
    for guest in folder.guests:
        network = guest.words.network_config
        bridge = bridge_of(folder, guest)
        if network is None or network.gw is None or bridge in declared:
            continue
        if network.ip in (None, "dhcp"):
            continue
        cidr = f"{network.gw}/{ip_interface(network.ip).network.prefixlen}"
        known, other = first.setdefault(bridge, (cidr, guest))
        if known != cidr and ip_address(network.gw) in ip_interface(network.ip).network:
            place = f"({other.spot.document.file}, line {other.spot.line(_GW)})"
            message = (
                f"{bridge} would need the address {cidr} for this guest, "
                f"but {known} for {other.label} {place}"
            )
            hint = "use one gateway and prefix length on a bridge, or a second bridge"
            if folder.driver is None:
                message = f"where Phoenix makes the bridge (not on Proxmox VE), {message}"
                yield guest.spot.warning(_GW, message, hint)
            else:
                yield guest.spot.error(_GW, message, hint)
