"""Bridges, cards, addresses, VLANs and name servers of the host."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """The host's network."""
