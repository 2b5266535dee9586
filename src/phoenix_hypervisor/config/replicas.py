"""Which ids, names and addresses the replicas of a guest have.

The first one has those of its words. The others take theirs from the declared ranges, from the
lowest on, so that more or fewer replicas later change nothing of those that stay.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.ip import Ip, ip_address, ip_interface
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.address import Address

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """One replica. `ip` is its address without the prefix length; None: DHCP's, or none."""

    number: int
    address: Address
    id: int
    name: str
    ip: Ip | None


def places(entry: AnyEntry) -> list[Place]:
    """The replicas, the first one being the guest itself; fewer where a range is too small."""
    wanted = entry.words.replicas or 1
    ids, ips = _own_first(entry.id, id_range(entry)), all_ips(entry)
    count = min(wanted, len(ids), len(ips) if ips else wanted)
    where = address.lxc if entry.kind == "lxc" else address.vm
    return [
        Place(
            number=index + 1,
            address=where(ids[index]),
            id=ids[index],
            name=numbered(entry.words.name or "", index + 1),
            ip=ips[index] if ips else None,
        )
        for index in range(count)
    ]


def addresses(entry: AnyEntry) -> list[Address]:
    """The addresses of all guests that are made of an entry."""
    if entry.words.replicas is None:
        return [entry.address]
    return [place.address for place in places(entry)]


def named(folder: Folder, idents: Iterable[int]) -> tuple[Address, ...]:
    """The guests that ids of the files mean, each once: of a guest with replicas all of them.

    Ids that are not in the files are told elsewhere.
    """
    entries = (folder.guest(ident) for ident in idents)
    return tuple(dict.fromkeys(one for entry in entries if entry for one in addresses(entry)))


def owners(folder: Folder) -> dict[Address, AnyEntry]:
    """The entry that each guest is made of; one that is written down goes before a replica."""
    found = {place: entry for entry in folder.guests for place in addresses(entry)}
    return found | {entry.address: entry for entry in folder.guests}


def numbered(name: str, number: int) -> str:
    """`web` is `web-2`, and `web.example.com` is `web-2.example.com`."""
    label, dot, rest = name.partition(".")
    return f"{label}-{number}{dot}{rest}"


def own_ip(entry: AnyEntry) -> Ip | None:
    """The address that the words give the guest itself."""
    network = entry.words.network_config
    if network is None or network.ip in (None, "dhcp"):
        return None
    return ip_interface(network.ip).ip


def id_range(entry: AnyEntry) -> Sequence[int]:
    """All ids of the declared range."""
    if entry.words.replica_ids is None:
        return ()
    first, last = entry.words.replica_ids.split("-")
    return range(int(first), int(last) + 1)


def ip_range(entry: AnyEntry) -> list[Ip]:
    """All addresses of the declared range."""
    if entry.words.replica_ips is None:
        return []
    first, last = (ip_address(part) for part in entry.words.replica_ips.split("-"))
    kind = type(first)
    return [kind(number) for number in range(int(first), int(last) + 1)]


def all_ips(entry: AnyEntry) -> list[Ip]:
    """The addresses that replicas may have, the guest's own first; none where DHCP decides."""
    own = own_ip(entry)
    return [] if own is None else list(_own_first(own, ip_range(entry)))


def _own_first(own: T, others: Sequence[T]) -> list[T]:
    return [own, *(one for one in others if one != own)]
