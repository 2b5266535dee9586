"""Bridges, cards, addresses, VLANs and name servers of the host."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bridge", "vlan", "eth"]

REVERT_AFTER_S = 90
"""How long the node waits for being reached again, in seconds, where the files don't say."""


@dataclass(frozen=True, slots=True)
class HostInterface:
    """A bridge, VLAN interface or card. What is None is left as it is.

    `address` has its prefix length, as `10.0.0.2/24`; `ports` are what a bridge joins; `device` is
    what a VLAN interface lies on; `mtu` is in bytes.
    """

    name: str
    kind: Kind = "bridge"
    address: str | None = None
    gateway: str | None = None
    ports: tuple[str, ...] | None = None
    vlan_aware: bool | None = None
    vlan_id: int | None = None
    device: str | None = None
    mtu: int | None = None
    autostart: bool | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """The host's network. `dhcp` names interfaces whose address the files leave to others."""

    interfaces: tuple[HostInterface, ...] = ()
    nameservers: tuple[str, ...] = ()
    dhcp: tuple[str, ...] = ()
    revert_after_s: int = REVERT_AFTER_S
