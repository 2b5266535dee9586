"""How a guest is connected, as the files spell it."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import Address, BridgeName, Ip, Ips, shaped

InterfaceName = Annotated[
    str,
    shaped(
        r"(?!root$)[A-Za-z][A-Za-z0-9_.-]{0,14}",
        "the name of a network card",
        "at most 15 letters and digits, such as eth0; `root` is the disk's",
    ),
]


class NetworkConfig(Words):
    """A guest's network card."""

    name: InterfaceName = Field("eth0", description="The card's name in the guest.")
    bridge: BridgeName | None = Field(
        None,
        description="The host's bridge it is plugged into; the host's first one where missing.",
    )
    ip: Address | None = Field(
        None, description="Its address with prefix length, such as `10.0.0.5/24`, or `dhcp`."
    )
    gw: Ip | None = Field(None, description="The default gateway.")
    nameservers: Ips = Field(
        default_factory=list, description="DNS servers: a list, or a text of one or several."
    )
    nameserver: Annotated[Ips, WithJsonSchema({"type": "string"})] = Field(
        default_factory=list, description="The same as `nameservers`."
    )
