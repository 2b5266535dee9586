"""Names for the DNS server: each has an address, and somebody answers for them."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem

_SERVER = "dnsmasq"


def find(folder: Folder) -> Iterator[Problem]:
    """Records without an address, and names that no DNS server answers for."""
    words, spot = folder.host.dns_server, folder.spot(HYPERVISOR)
    answered = words.enabled or any(_SERVER in guest.words.features for guest in folder.guests)
    hint = f'set dns_server.enabled, or give a guest the feature "{_SERVER}"'
    if words.authoritative_zones and not answered:
        message = "`authoritative_zones` asks for nothing without a DNS server"
        yield spot.warning(("dns_server", "authoritative_zones"), message, hint, key=True)
    for index, zone in enumerate(words.authoritative_zones):
        for number, record in enumerate(zone.records):
            if record.ip is None:
                place = ("dns_server", "authoritative_zones", index, "records", number)
                message = f"the record `{record.name}` of {zone.name} has no address"
                yield spot.warning(place, message, 'add "ip"')
    for guest in folder.machines:
        records, network = guest.words.dns_records, guest.words.network_config
        if records and not answered:
            message = "`dns_records` asks for nothing without a DNS server"
            yield guest.spot.warning(("dns_records",), message, hint, key=True)
        known = network is not None and network.ip not in (None, "dhcp")
        for index, record in enumerate(records):
            if record.ip is None and not known:
                message = f"the record `{record.name}` has no address, nor has {guest.label}"
                yield guest.spot.warning(("dns_records", index), message, 'add "ip"')
