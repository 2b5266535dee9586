"""Words of names and certificates inside: a DNS server, a certificate authority of one's own."""

from typing import Any

from pydantic import Field

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import HostName, Ips, Text


class DnsServer(Words):
    """A DNS server on the host."""

    enabled: bool = Field(False, description="Whether it runs.")
    upstream_servers: Ips = Field(default_factory=list, description="Who answers the rest.")
    authoritative_zones: list[Any] = Field(default_factory=list, description="Zones of its own.")


class StepCa(Words):
    """A certificate authority of one's own."""

    root_ca_name: Text | None = Field(None, description="The root's name.")
    intermediate_ca_name: Text | None = Field(None, description="The intermediate's name.")
    dns_name: HostName | None = Field(None, description="Its host name.")
    provisioner_name: Text | None = Field(None, description="Its provisioner.")
