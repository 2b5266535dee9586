"""Which bridge a guest is plugged into, and what the host file says of bridges."""

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.host_network import Interface
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.vm import Machine

DEFAULT_BRIDGE = "vmbr0"
"""The bridge that Proxmox VE's installer makes."""


def interfaces(host: HypervisorFile) -> dict[str, Interface]:
    """The declared bridges and cards by their names."""
    found = {}
    for key, interface in host.network.interfaces.items():
        name = interface.name or (key if key and not key.isdigit() else None)
        if name is not None:
            found[name] = interface
    return found


def bridge_of(folder: Folder, guest: AnyEntry) -> str:
    """The bridge of a guest: its own, the defaults', the host's first one, or `vmbr0`."""
    words = guest.words
    network = words.network_config
    if network is not None and network.bridge is not None:
        return network.bridge
    if isinstance(words, Machine):
        own = words.network_bridge or folder.vm.vm_defaults.network_bridge
        if own is not None:
            return own
    return next(iter(interfaces(folder.host)), DEFAULT_BRIDGE)
