"""Proxmox VE's firewall above the guests: data centre and node, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.firewall import ClusterFirewall


def firewall(folder: Folder) -> ClusterFirewall:
    """What the hypervisor file says of it."""
    del folder
    return ClusterFirewall()
