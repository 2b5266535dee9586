"""ZFS pools, datasets, ARC, and the storages of Proxmox VE on them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Storage:
    """The host's disks."""
