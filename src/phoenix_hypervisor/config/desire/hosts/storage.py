"""ZFS pools, datasets, ARC, and the storages of Proxmox VE on them, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.storage import Storage


def storage(folder: Folder) -> Storage:
    """What the hypervisor file says of it."""
    del folder
    return Storage()
