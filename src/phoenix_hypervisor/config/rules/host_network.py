"""The host's own interfaces: what none of them can be."""

from collections.abc import Iterator

from phoenix_hypervisor.config.desire.hosts.network import kind_of
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder, Spot
from phoenix_hypervisor.config.ip import ip_address, ip_interface
from phoenix_hypervisor.config.networks import interfaces
from phoenix_hypervisor.config.words.base import steps
from phoenix_hypervisor.config.words.host_network import Interface
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Gateways out of reach, ports that two bridges join, and words that don't fit the kind."""
    spot = folder.spot(HYPERVISOR)
    joined: dict[str, str] = {}
    has_gateway: dict[int, str] = {}
    keys = {id(words): key for key, words in folder.host.network.interfaces.items()}
    for name, words in interfaces(folder.host).items():
        place = ("network", "interfaces", *steps(keys[id(words)]))
        yield from _gateway(spot, place, words)
        yield from _kind(spot, place, name, words)
        if kind_of(name, words) == "bridge":
            for port in words.ports or ():
                if port in joined:
                    message = f"`{port}` is a port of {joined[port]} already"
                    yield spot.error((*place, "ports"), message, "a card is in one bridge only")
                joined.setdefault(port, name)
        if words.gateway is not None:
            version = ip_address(words.gateway).version
            if version in has_gateway:
                message = f"{has_gateway[version]} has the default gateway already"
                yield spot.error((*place, "gateway"), message, "a host has one: remove the other")
            has_gateway.setdefault(version, name)


def _gateway(spot: Spot, place: tuple[str | int, ...], words: Interface) -> Iterator[Problem]:
    if words.gateway is None or words.address in (None, "dhcp"):
        return
    address, gateway = ip_interface(words.address), ip_address(words.gateway)
    if gateway not in address.network:
        message = f"the gateway {gateway} is not in the subnet {address.network} of the address"
        yield spot.error((*place, "gateway"), message, "choose one that this interface can reach")
    elif gateway == address.ip:
        message = f"the gateway {gateway} is the host's own address"
        yield spot.error((*place, "gateway"), message, "the gateway is another machine: the router")


def _kind(
    spot: Spot, place: tuple[str | int, ...], name: str, words: Interface
) -> Iterator[Problem]:
    if kind_of(name, words) != "vlan":
        return
    if words.vlan_aware:
        message = f"`{name}` is a VLAN interface, and only a bridge can be VLAN-aware"
        yield spot.error((*place, "vlan_aware"), message, "remove it, or `vlan_id`")
    _, dot, number = name.rpartition(".")
    if not dot or not number.isdigit():
        if len(words.ports or ()) != 1:
            message = f"the VLAN interface `{name}` lies on no card or bridge"
            hint = 'name the one that it lies on, such as "ports": ["eno1"]'
            yield spot.error((*place, "ports"), message, hint)
    elif words.vlan_id not in (None, int(number)):
        message = f"the name `{name}` says VLAN {number}, and vlan_id {words.vlan_id}"
        yield spot.error((*place, "vlan_id"), message, "leave one of them out")
