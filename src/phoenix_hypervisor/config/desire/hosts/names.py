"""Names and certificates inside: DNS and a certificate authority, as wanted."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.host_names import APEX
from phoenix_hypervisor.model.host.names import AuthorityNames, DnsServer, Names, Record


def names(folder: Folder) -> Names:
    """What the hypervisor file and the machines' `dns_records` say of it."""
    words, authority = folder.host.dns_server, folder.host.step_ca
    zones = tuple(dict.fromkeys(zone.name.lower() for zone in words.authoritative_zones))
    return Names(
        dns=DnsServer(tuple(words.upstream_servers), zones) if words.enabled else None,
        records=tuple(dict.fromkeys(_records(folder))),
        zones=zones,
        authority=AuthorityNames(
            root=authority.root_ca_name,
            dns_name=authority.dns_name,
            provisioner=authority.provisioner_name,
        ),
    )


def _records(folder: Folder) -> Iterator[Record]:
    for zone in folder.host.dns_server.authoritative_zones:
        for record in zone.records:
            if record.ip is not None:
                yield Record(_below(record.name, zone.name), record.ip)
    for entry in folder.machines:
        network = entry.words.network_config
        own = network.ip if network else None
        for record in entry.words.dns_records:
            address = record.ip or (None if own in (None, "dhcp") else str(own).partition("/")[0])
            if address is not None:
                yield Record(_below(record.name, folder.host.domain_name), address)


def _below(name: str, zone: str | None) -> str:
    """A name's whole form: one without dots is one of the zone."""
    if zone and name == APEX:
        return zone.lower()
    return f"{name}.{zone}".lower() if zone and "." not in name else name.lower()
