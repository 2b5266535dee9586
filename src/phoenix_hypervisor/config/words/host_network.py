"""Words of the host's network: bridges, cards, addresses."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from phoenix_hypervisor.config.words.base import Keyed, Words
from phoenix_hypervisor.config.words.values import (
    Address,
    BridgeName,
    Ip,
    Ips,
    Networks,
    Port,
    Server,
    Text,
)


class Interface(Words):
    """A bridge or network card of the host."""

    name: BridgeName | None = Field(None, description="Its name, such as `vmbr0`.")
    address: Address | None = Field(None, description="The host's address on it.")
    gateway: Ip | None = Field(None, description="The default gateway.")
    dns_nameservers: Ips = Field(default_factory=list, description="DNS servers of the host.")


_INTERFACES = Keyed(frozenset({"name", "address", "gateway", "dns_nameservers"}))
Interfaces = Annotated[dict[str, Interface], BeforeValidator(_INTERFACES.read), _INTERFACES]


class Network(Words):
    """The host's network."""

    interfaces: Interfaces = Field(default_factory=dict, description="Bridges and network cards.")
    default_subnet: Networks | None = Field(None, description="The guests' subnet.")
    nfs_server: Server | None = Field(None, description="The file server.")
    fallback_dns: Ip | None = Field(None, description="The DNS server where no other answers.")
    external_registry_url: Text | None = Field(None, description="The registry of images.")
    portainer_server_ip: Ip | None = Field(None, description="Portainer's address.")
    portainer_server_port: Port | None = Field(None, description="Portainer's port.")
    portainer_agent_port: Port | None = Field(None, description="The port of Portainer's agents.")
