"""Words of names and certificates inside: a DNS server, a certificate authority of one's own."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    TypeAdapter,
    WithJsonSchema,
)

from phoenix_hypervisor.config.words.base import Note, Words, is_unset
from phoenix_hypervisor.config.words.values import HostName, Ip, Ips, Text

APEX = "@"


def _record_name(text: str) -> str:
    if text != APEX:
        _HOST.validate_python(text.removeprefix("*."))
    return text


_HOST: TypeAdapter[str] = TypeAdapter(HostName)
RecordName = Annotated[str, AfterValidator(_record_name)]
"""A host name, all names below one (`*.example.com`), or `@`: the zone itself."""


class DnsRecord(Words):
    """A name and the address that it stands for."""

    name: RecordName = Field(
        validation_alias=AliasChoices("name", "hostname", "host", "domain"),
        description="The name; below its zone where it has no dot. `@` is the zone itself.",
    )
    type: Annotated[Literal["A", "AAAA"] | None, Note()] = Field(
        None, description="Not used: the address tells it."
    )
    ip: Ip | None = Field(
        None,
        validation_alias=AliasChoices("ip", "ip_internal", "address", "ip_address"),
        description="The address; of a machine's own record: the machine's.",
    )
    ip_external: Annotated[Ip | None, Note()] = Field(
        None, description="Not used: the address seen from outside."
    )


def _record(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


_RECORD_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                key: {"type": "string"}
                for key in (
                    "name",
                    "hostname",
                    "host",
                    "domain",
                    "ip",
                    "ip_internal",
                    "address",
                    "ip_address",
                    "ip_external",
                    "type",
                )
            },
            "additionalProperties": False,
            "patternProperties": {"^(x-|_)": {}},
        },
    ]
}
DnsRecords = list[Annotated[DnsRecord, BeforeValidator(_record), WithJsonSchema(_RECORD_SCHEMA)]]
"""Records; a text alone is a name."""


class DnsZone(Words):
    """A zone that is answered here alone."""

    name: HostName = Field(
        validation_alias=AliasChoices("name", "zone_name", "zone", "domain"),
        description="The zone, such as `lab.example`.",
    )
    records: DnsRecords = Field(default_factory=list, description="Records in it.")


def _zones(value: object) -> object:
    if not isinstance(value, list):
        return value
    return [
        {"name": zone} if isinstance(zone, str) else zone for zone in value if not is_unset(zone)
    ]


class DnsServer(Words):
    """A DNS server on the host."""

    enabled: bool = Field(False, description="Whether it runs.")
    upstream_servers: Ips = Field(default_factory=list, description="Who answers the rest.")
    authoritative_zones: Annotated[list[DnsZone], BeforeValidator(_zones)] = Field(
        default_factory=list,
        description="Zones that are answered here alone, also by a guest's `dnsmasq`.",
    )


class StepCa(Words):
    """What a guest's `step_ca` calls its certificate authority."""

    root_ca_name: Text | None = Field(None, description="The root's name.")
    intermediate_ca_name: Annotated[Text | None, Note()] = Field(
        None, description="Not used: step-ca makes it of the root's name."
    )
    dns_name: HostName | None = Field(None, description="Its host name.")
    provisioner_name: Text | None = Field(None, description="Its first provisioner.")
