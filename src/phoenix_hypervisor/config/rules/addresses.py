"""IP addresses: none is taken twice, be it by guests, the host or a gateway."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder, Spot
from phoenix_hypervisor.config.ip import ip_interface
from phoenix_hypervisor.config.words.base import steps
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Addresses that the host, an earlier guest or a gateway has already."""
    first = dict(_host(folder))
    gateways = {
        network.gw: guest
        for guest in reversed(folder.guests)
        if (network := guest.words.network_config) is not None and network.gw is not None
    }
    for guest in folder.guests:
        network = guest.words.network_config
        if network is None or network.ip in (None, "dhcp"):
            continue
        address = str(ip_interface(network.ip).ip)
        place = ("network_config", "ip")
        if address in first:
            label, spot, path = first[address]
            at = f"({spot.document.file}, line {spot.line(path)})"
            message = f"duplicate address {address}: it belongs to {label} {at}"
            yield guest.spot.error(place, message, "choose a free address")
            continue
        first[address] = (guest.label, guest.spot, place)
        if address in gateways and not folder.spot(HYPERVISOR).raw("network", "interfaces"):
            other = gateways[address]
            message = f"the address {address} is the gateway of {other.label}"
            yield guest.spot.warning(place, message, "a guest has it only if it is the router")


def _host(folder: Folder) -> Iterator[tuple[str, tuple[str, Spot, Pointer]]]:
    spot = folder.spot(HYPERVISOR)
    for key, interface in folder.host.network.interfaces.items():
        if interface.address in (None, "dhcp"):
            continue
        path: Pointer = ("network", "interfaces", *steps(key), "address")
        address = str(ip_interface(interface.address).ip)
        yield address, ("the host", spot, path)
