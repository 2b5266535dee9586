"""Repositories, updates, microcode, the CPU's governor, as wanted."""

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.host.system import System, Updates


def system(folder: Folder) -> System:
    """What the hypervisor file says of it."""
    words = folder.host.system
    updates = words.security_updates
    return System(
        repositories=words.repositories,
        updates=Updates(tuple(updates.also), tuple(updates.keep), updates.reboot_at)
        if updates
        else None,
        microcode=words.microcode,
        governor=words.cpu_governor,
    )
