"""What the host shares with the network: NFS and SMB."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares."""
