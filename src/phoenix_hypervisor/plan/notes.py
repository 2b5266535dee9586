"""What a plan should not pass over in silence, though it refuses nothing for it."""

from collections.abc import Iterable, Iterator, Sequence

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change
from phoenix_hypervisor.model.desired import Desired, Nic
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.model.replicas import group
from phoenix_hypervisor.plan.rolling import Proxies

_Holder = tuple[SeenGuest, frozenset[str]]
"""A guest that keeps an address, and the bridges that it is known to be plugged into."""


def notes(
    part: Desired,
    desired: Desired,
    observed: Observed,
    changes: Sequence[Change],
    proxies: Proxies,
) -> Iterator[str]:
    """`part` is what of `desired` is planned; `proxies` are those of `Options`."""
    yield from _unplugged(part, changes)
    yield from _left_behind(changes)
    yield from _interrupted(desired, observed, changes, proxies)
    deleted = {change.address for change in changes if change.action is Action.DELETE}
    staying = [
        seen
        for address, seen in observed.guests.items()
        if address not in desired.guests and address not in deleted
    ]
    if staying:
        yield from _taken(part, staying)


def _unplugged(desired: Desired, changes: Sequence[Change]) -> Iterator[str]:
    """Only of guests that are made now: who wants one without a card reads it once."""
    bare = [
        change.address
        for change in changes
        if change.action is Action.CREATE
        and (guest := desired.guests.get(change.address)) is not None
        and not guest.nics
    ]
    if bare:
        have = "has no `network_config`, and so" if len(bare) == 1 else "have no `network_config`:"
        yield f"{', '.join(bare)} {have} no network card is made"


def _left_behind(changes: Sequence[Change]) -> Iterator[str]:
    """Folders of the host that a guest had somewhere, and gets another one there instead."""
    for change in changes:
        for one in change.fields:
            is_source = one.path.startswith("mounts.") and one.path.endswith(".source")
            if is_source and one.before is not None and one.after is not None:
                target = one.path.removeprefix("mounts.").removesuffix(".source")
                yield (
                    f"{change.address}: {target} was {one.before}, and what is in that stays "
                    f"there; it will be {one.after}, and nothing is moved"
                )


def _interrupted(
    desired: Desired, observed: Observed, changes: Sequence[Change], proxies: Proxies
) -> Iterator[str]:
    """Replicas that run, and whose proxies don't know of what this plan makes of them."""
    for change in changes:
        guest, seen = desired.guests.get(change.address), observed.guests.get(change.address)
        if guest is None or guest.replica is None or not proxies.get(change.address):
            continue
        if seen is None or seen.state != "running" or len(group(guest, desired)) == 1:
            continue
        for one in change.fields:
            if one.path == "name" and one.before == guest.replica.name:
                yield (
                    f"{change.address}: {one.before} becomes {guest.name}, and its proxies lead to "
                    "it alone until they are configured: the service is interrupted once"
                )
            if one.path.startswith("network.") and one.path.endswith(".address") and one.before:
                yield (
                    f"{change.address}: its address changes, and its proxies ask at the old one "
                    "until they are configured: the service is interrupted once"
                )


def _taken(desired: Desired, staying: Iterable[SeenGuest]) -> Iterator[str]:
    """Addresses that the files give to a guest, and that another one on the target keeps."""
    holders: dict[str, list[_Holder]] = {}
    for seen in staying:
        bridges = frozenset(
            str(value)
            for path, value in seen.fields.items()
            if path.startswith("network.") and path.endswith(".bridge")
        )
        for address in _addresses(seen):
            holders.setdefault(address, []).append((seen, bridges))
    if not holders:
        return
    for guest in desired.guests.values():
        for nic in guest.nics:
            for seen, bridges in holders.get(_bare(nic.address), ()):
                if not bridges or nic.bridge in bridges:
                    yield _clash(guest.address, nic, seen, desired.stack)


def _addresses(seen: SeenGuest) -> set[str]:
    """Those that it has now, and those that it is to have once it runs."""
    told = {
        _bare(value)
        for path, value in seen.fields.items()
        if path.startswith("network.") and path.endswith(".address")
    }
    return {*seen.addresses, *told} - {"", "dhcp"}


def _bare(address: object) -> str:
    return address.partition("/")[0] if isinstance(address, str) else ""


def _clash(address: Address, nic: Nic, seen: SeenGuest, stack: str) -> str:
    name = f" ({seen.name})" if seen.name else ""
    whose = "which the files no longer name" if seen.stack == stack else "which is not managed here"
    return (
        f"{address}: the address {_bare(nic.address)} is taken by {seen.address}{name}, {whose}: "
        "where both run, neither is reached for sure; choose another one, or remove that guest"
    )
