"""MAC addresses: none is taken twice."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """MAC addresses that an earlier guest has already."""
    first: dict[str, AnyEntry] = {}
    for guest in folder.guests:
        mac = guest.words.mac_address
        if mac is None:
            continue
        if mac in first:
            other = first[mac]
            place = f"({other.spot.document.file}, line {other.spot.line(('mac_address',))})"
            message = f"duplicate MAC address {mac}: it belongs to {other.label} {place}"
            hint = "change one of its pairs, or leave the key out to have one made up"
            yield guest.spot.error(("mac_address",), message, hint)
        else:
            first[mac] = guest
