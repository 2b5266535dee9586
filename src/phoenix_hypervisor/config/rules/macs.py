"""MAC addresses: none is taken twice."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """MAC addresses that an earlier guest has already."""
    first: dict[str, tuple[str, str, int]] = {}
    for guest in folder.guests:
        mac = guest.words.mac_address
        if mac is None:
            continue
        if mac in first:
            label, file, line = first[mac]
            message = f"duplicate MAC address {mac}: it belongs to {label} ({file}, line {line})"
            hint = "change one of its pairs, or leave the key out to have one made up"
            yield guest.spot.error(("mac_address",), message, hint)
        else:
            place = (guest.label, guest.spot.document.file, guest.spot.line(("mac_address",)))
            first[mac] = place
