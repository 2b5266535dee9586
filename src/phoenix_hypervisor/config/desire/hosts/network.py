"""Bridges, cards, addresses, VLANs and name servers of the host, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.network import HostNetwork


def network(folder: Folder) -> HostNetwork:
    """What the hypervisor file says of it."""
    del folder
    return HostNetwork()
