"""One guest's words as several equal guests."""

from collections.abc import Iterator
from dataclasses import replace

from phoenix_hypervisor.config.folder import AnyEntry
from phoenix_hypervisor.config.replicas import Place, places
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import Guest, Nic


def replicas(entry: AnyEntry, guest: Guest) -> Iterator[Guest]:
    """The guest itself, or as many as its words ask for; each differs in id, name and address."""
    if entry.words.replicas is None:
        yield guest
        return
    for place in places(entry):
        yield replace(
            guest,
            address=place.address,
            id=place.id,
            name=place.name,
            nics=tuple(_nic(nic, place) for nic in guest.nics),
            replica=Replica(guest.address, guest.name, place.number),
        )


def _nic(nic: Nic, place: Place) -> Nic:
    if place.ip is None:
        return nic
    return replace(nic, address=f"{place.ip}/{(nic.address or '').partition('/')[2]}")
