"""Bridges, cards, addresses, VLANs and name servers of the host, as wanted."""

import re

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.networks import interfaces
from phoenix_hypervisor.config.words.host_network import Interface
from phoenix_hypervisor.model.host.network import HostInterface, HostNetwork, Kind

_VLAN = re.compile(r"(?P<device>.+)\.(?P<id>\d{1,4})")


def network(folder: Folder) -> HostNetwork:
    """What the hypervisor file says of it."""
    declared = interfaces(folder.host)
    servers = [server for words in declared.values() for server in words.dns_nameservers]
    return HostNetwork(
        interfaces=tuple(_interface(name, words) for name, words in declared.items()),
        nameservers=tuple(dict.fromkeys(servers)),
        dhcp=tuple(name for name, words in declared.items() if words.address == "dhcp"),
        revert_after_s=folder.host.network.revert_after_s,
    )


def kind_of(name: str, words: Interface) -> Kind:
    """What an interface is. Proxmox VE names VLAN interfaces `eno1.20`, and bridges `vmbr0`."""
    if words.vlan_id is not None or _VLAN.fullmatch(name):
        return "vlan"
    if words.ports is not None or words.vlan_aware is not None or name.startswith("vmbr"):
        return "bridge"
    return "eth"


def _interface(name: str, words: Interface) -> HostInterface:
    kind, vlan_id, device = kind_of(name, words), words.vlan_id, None
    if kind == "vlan":
        device = words.ports[0] if words.ports else None
        if found := _VLAN.fullmatch(name):
            device, vlan_id = device or found["device"], vlan_id or int(found["id"])
    is_bridge = kind == "bridge"
    return HostInterface(
        name=name,
        kind=kind,
        address=None if words.address == "dhcp" else words.address,
        gateway=words.gateway,
        ports=None if words.ports is None or not is_bridge else tuple(words.ports),
        vlan_aware=words.vlan_aware if is_bridge else None,
        vlan_id=vlan_id,
        device=device,
        mtu=words.mtu,
        autostart=words.autostart,
        comment=words.comment,
    )
