"""The host's graphics cards: NVIDIA's driver, and cards kept for virtual machines, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.cards import Cards


def cards(folder: Folder) -> Cards:
    """What the hypervisor file says of it."""
    del folder
    return Cards()
