"""Replicas: only of guests that keep nothing, and with ids, names and addresses of their own."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, AnyEntry, Folder
from phoenix_hypervisor.config.ip import Ip, ip_interface, not_for_guests
from phoenix_hypervisor.config.replicas import (
    all_ips,
    id_range,
    ip_range,
    own_ip,
    places,
)
from phoenix_hypervisor.config.rules.ids import FIRST
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.vm import Machine
from phoenix_hypervisor.model.problem import Problem

_LONGEST = 64
"""HOST_NAME_MAX, see limits.h(0p)."""


def find(folder: Folder) -> Iterator[Problem]:
    """Ranges for nothing, too small or taken, and guests of which there can only be one."""
    sources = {guest.clone_of: guest for guest in reversed(folder.guests)}
    spread = [guest for guest in folder.guests if guest.words.replicas is not None]
    for guest in folder.guests:
        if guest.words.replicas is None:
            for word in ("replica_ids", "replica_ips"):
                if getattr(guest.words, word) is not None and not guest.spot.raw("replicas"):
                    message = f"`{word}` is for nothing without `replicas`"
                    yield guest.spot.warning((word,), message, 'add "replicas": 2', key=True)
    for guest in spread:
        yield from _single(folder, guest, sources.get(guest.id))
        yield from _wide_enough(guest)
        yield from _names(folder, guest)
        yield from _ids(folder, guest, spread)
        yield from _ips(folder, guest, spread)


def _single(folder: Folder, guest: AnyEntry, clone: AnyEntry | None) -> Iterator[Problem]:
    """What each guest can only have for itself."""
    for place, why, hint in _own(folder, guest):
        message = f"{guest.label} can't have replicas: {why}"
        yield guest.spot.error(place, message, hint or "remove `replicas`, or this", key=True)
    if clone is not None:
        message = f"{guest.label} can't have replicas: {clone.label} is cloned from it"
        hint = "make a template of its own, and clone both from that"
        yield guest.spot.error(("replicas",), message, hint, key=True)


def _own(folder: Folder, guest: AnyEntry) -> Iterator[tuple[Pointer, str, str]]:
    words = guest.words
    if guest.rests or words.template_snapshot_name is not None:
        word = "template_snapshot_name" if words.template_snapshot_name else "is_template"
        yield (word,), "it is a template", ""
    if words.mac_address is not None:
        yield (
            ("mac_address",),
            "two cards of one network can't have the same MAC address",
            "leave `mac_address` out: each gets one of its own",
        )
    data = "a volume keeps data, and each replica would have data of its own"
    if isinstance(words, Container):
        for word in ("volumes", "zfs_volumes"):
            if getattr(words, word):
                yield (word,), data, "keep the data in another guest, such as one with postgresql"
    if isinstance(words, Machine) and words.pci:
        yield ("pci",), "a card is passed to one virtual machine alone", ""
    for index, name in enumerate(words.features):
        if name in folder.vocabulary.keeps:
            why = f"{name} keeps {folder.vocabulary.keeps[name]} in it, and each would have its own"
            yield ("features", index), why, "give it a guest of its own"


def _wide_enough(guest: AnyEntry) -> Iterator[Problem]:
    wanted = guest.words.replicas or 1
    own = own_ip(guest)
    if own is None and guest.words.replica_ips is not None:
        message = "`replica_ips` is for nothing: the guest's own address is not static"
        yield guest.spot.error(("replica_ips",), message, "set network_config.ip", key=True)
    others = {
        "replica_ids": len([one for one in id_range(guest) if one != guest.id]),
        "replica_ips": wanted - 1 if own is None else len(all_ips(guest)) - 1,
    }
    examples = {"replica_ids": "950-959", "replica_ips": "10.0.0.50-10.0.0.59"}
    for word, there in others.items():
        if there >= wanted - 1:
            continue
        if getattr(guest.words, word) is None:
            if guest.spot.raw(word) in (None, "", "NOT_SET"):
                message = f"`{word}` is missing: {wanted} replicas need {wanted - 1} beside its own"
                hint = f'such as "{word}": "{examples[word]}"'
                yield guest.spot.error(("replicas",), message, hint, key=True)
        else:
            message = f"`{word}` holds {there} beside its own, but {wanted} replicas need more"
            hint = f"it needs room for {wanted - 1 - there} more"
            yield guest.spot.error((word,), message, hint)


def _names(folder: Folder, guest: AnyEntry) -> Iterator[Problem]:
    if guest.words.name is None:
        return
    # A group's bare name is taken, too: on a command line it means all of the group.
    taken = {
        other.words.name.lower(): other
        for other in folder.guests
        if other.words.name and other is not guest
    }
    for place in places(guest):
        if len(place.name) > _LONGEST:
            message = f"the replica's name `{place.name}` has more than {_LONGEST} characters"
            yield guest.spot.error(("name",), message, "choose a shorter name")
            return
        if other := taken.get(place.name.lower()):
            at = f"({other.spot.document.file}, line {other.spot.line(('name',))})"
            message = f"the name `{place.name}` of a replica belongs to {other.address} {at}"
            yield guest.spot.error(("name",), message, "names are host names: rename one of both")


def _ids(folder: Folder, guest: AnyEntry, spread: list[AnyEntry]) -> Iterator[Problem]:
    mine = id_range(guest)
    if mine and mine[0] < FIRST:
        message = f"the range starts below {FIRST}: those ids belong to Proxmox VE"
        yield guest.spot.error(("replica_ids",), message, f"start at {FIRST} or more")
    for other in folder.guests:
        if other.id in mine and other is not guest:
            line = other.spot.line(other.head, key=True)
            at = f"({other.spot.document.file}, line {line})"
            message = f"the range holds {other.id}, which belongs to {other.label} {at}"
            yield guest.spot.error(("replica_ids",), message, "choose a range of free ids")
            break
    for other in spread[: spread.index(guest)]:
        if both := set(id_range(other)) & set(mine):
            yield _shared(guest, other, "replica_ids", str(min(both)))


def _ips(folder: Folder, guest: AnyEntry, spread: list[AnyEntry]) -> Iterator[Problem]:
    mine = set(ip_range(guest))
    network = guest.words.network_config
    if not mine or network is None or own_ip(guest) is None:
        return
    subnet = ip_interface(network.ip).network
    outside = [ip for ip in sorted(mine, key=int) if ip not in subnet]
    if outside:
        message = f"{outside[0]} is not in the guest's own subnet {subnet}"
        yield guest.spot.error(("replica_ips",), message, f"choose a range inside {subnet}")
    for ip in sorted(mine, key=int):
        if ip in subnet and (why := not_for_guests(ip, subnet)):
            message = f"the range holds {ip}, which is {why}"
            yield guest.spot.error(("replica_ips",), message, f"choose a range inside {subnet}")
    for ip, owner in _taken(folder, guest):
        if ip in mine:
            message = f"the range holds {ip}, which belongs to {owner}"
            yield guest.spot.error(("replica_ips",), message, "choose a range of free addresses")
            break
    for other in spread[: spread.index(guest)]:
        if both := mine & set(ip_range(other)):
            yield _shared(guest, other, "replica_ips", str(min(both, key=int)))


def _taken(folder: Folder, guest: AnyEntry) -> Iterator[tuple[Ip, str]]:
    """Addresses of the host, of gateways, and of other guests."""
    gateways = {
        other.words.network_config.gw: other
        for other in reversed(folder.guests)
        if other.words.network_config is not None
    }
    for gateway in gateways:
        if gateway is not None:
            yield ip_interface(gateway).ip, "a gateway"
    for interface in folder.host.network.interfaces.values():
        if interface.address not in (None, "dhcp"):
            spot = folder.spot(HYPERVISOR)
            yield ip_interface(interface.address).ip, f"the host ({spot.document.file})"
    for other in folder.guests:
        own = own_ip(other)
        if own is not None and other is not guest:
            line = other.spot.line(("network_config", "ip"))
            yield own, f"{other.label} ({other.spot.document.file}, line {line})"


def _shared(guest: AnyEntry, other: AnyEntry, word: str, first: str) -> Problem:
    at = f"({other.spot.document.file}, line {other.spot.line((word,))})"
    message = f"the range holds {first}, which the range of {other.label} holds too {at}"
    return guest.spot.error((word,), message, "give each a range of its own")
