"""Proxmox VE's firewall above the guests: data centre and node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterFirewall:
    """Rules above the guests'."""
