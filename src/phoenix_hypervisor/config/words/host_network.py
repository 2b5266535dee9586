"""Words of the host's network: bridges, cards, addresses."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from phoenix_hypervisor.config.words.base import Keyed, Later, Words
from phoenix_hypervisor.config.words.values import (
    Address,
    BridgeName,
    Flag,
    Ip,
    Ips,
    Networks,
    Port,
    Server,
    Text,
    split,
)
from phoenix_hypervisor.model.host.network import REVERT_AFTER_S

Ports = Annotated[list[BridgeName], BeforeValidator(split)]
"""One name, several in one text, or a list."""


class Interface(Words):
    """A bridge, a VLAN interface or a network card of the host."""

    name: BridgeName | None = Field(None, description="Its name, such as `vmbr0`.")
    address: Address | None = Field(None, description="The host's address on it.")
    gateway: Ip | None = Field(None, description="The default gateway.")
    dns_nameservers: Ips = Field(default_factory=list, description="DNS servers of the host.")
    ports: Ports | None = Field(
        None,
        description="The cards that a bridge joins, such as `eno1` (an empty list: none); for a "
        "VLAN interface the one card or bridge that it lies on.",
    )
    vlan_aware: Flag | None = Field(
        None, description="Whether the bridge keeps its guests' VLANs apart."
    )
    vlan_id: int | None = Field(
        None,
        ge=1,
        le=4094,
        description="The VLAN of a VLAN interface; not needed where its name ends with it, such "
        "as `eno1.20`.",
    )
    mtu: int | None = Field(None, ge=1280, le=65520, description="The largest packet in bytes.")
    autostart: Flag | None = Field(None, description="Whether it comes up with the host.")
    comment: Text | None = Field(None, description="A note for people, kept with it on the host.")


_INTERFACES = Keyed(frozenset(Interface.model_fields) - {"comment"})
Interfaces = Annotated[dict[str, Interface], BeforeValidator(_INTERFACES.read), _INTERFACES]


class Network(Words):
    """The host's network."""

    interfaces: Interfaces = Field(default_factory=dict, description="Bridges and network cards.")
    revert_after_s: int = Field(
        REVERT_AFTER_S,
        ge=20,
        le=3600,
        description="The node takes a change of its network back when it isn't reached again "
        "within so many seconds.",
    )
    default_subnet: Annotated[Networks | None, Later()] = Field(
        None, description="The guests' subnet: their addresses are checked against it."
    )
    nfs_server: Annotated[Server | None, Later()] = Field(None, description="The file server.")
    fallback_dns: Annotated[Ip | None, Later()] = Field(
        None, description="The DNS server where no other answers."
    )
    external_registry_url: Annotated[Text | None, Later()] = Field(
        None, description="The registry of images."
    )
    portainer_server_ip: Annotated[Ip | None, Later()] = Field(
        None, description="Portainer's address."
    )
    portainer_server_port: Annotated[Port | None, Later()] = Field(
        None, description="Portainer's port."
    )
    portainer_agent_port: Annotated[Port | None, Later()] = Field(
        None, description="The port of Portainer's agents."
    )
