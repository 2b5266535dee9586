"""One look at everything that matters: a handful of requests, whatever the number of guests."""

import asyncio
import sys
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from phoenix_hypervisor.drivers.incus import instance, machine, names
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.drivers.incus.resources import Resources
from phoenix_hypervisor.model.desired import Capacity, Desired
from phoenix_hypervisor.model.errors import NotFound, Retryable
from phoenix_hypervisor.model.observed import Observed, SeenGuest, Snapshot

_UNREADABLE_S = 20.0
_PAUSE_S = 0.3


async def observe(client: Client, resources: Resources, desired: Desired) -> Observed:
    """Guests of the project, pools, bridges, capacity and routes."""
    guests, found = await asyncio.gather(instances(client), resources.observe())
    named = {names.instance(address) for address in desired.guests}
    whole = [one for one in guests if _is_whole(one, desired.stack, one["name"] in named)]
    sizes = await _volume_sizes(client, whole)
    seen = [guest(one, sizes, desired.stack, is_named=one["name"] in named) for one in guests]
    return Observed(
        guests={one.address: one for one in seen if one is not None},
        resources=found,
        capacity=Capacity(machine.memory_mb(), machine.cores(), storage_gb=None),
        routes=tuple(routes()),
    )


def guest(
    one: Mapping[str, Any],
    sizes: Mapping[tuple[str, str], str],
    stack: str,
    *,
    is_named: bool = False,
) -> SeenGuest | None:
    """One instance as seen; None where its name could never be one of ours.

    Of one that the stack did not make, whatever it holds, only its places are read; but for one
    that nobody manages and the files name, which may be taken over (`adopt`).
    """
    keys = one["config"]
    address = names.address(one["name"])
    if address is None:
        return None
    snapshots = one.get("snapshots") or []
    whole = _is_whole(one, stack, is_named)
    return SeenGuest(
        address=address,
        name=keys.get(names.NAME, one["name"]),
        state="running" if one["status"] in ("Running", "Ready", "Thawed") else "stopped",
        stack=keys.get(names.STACK),
        complete=keys.get(names.STATE) == names.COMPLETE or (whole and names.STACK not in keys),
        fields=instance.fields(one, sizes) if whole else instance.places(one),
        fingerprint=keys.get(names.FINGERPRINT) or None,
        snapshots=tuple(
            Snapshot(snap["name"].rpartition("/")[2], snap["config"].get(names.FINGERPRINT) or None)
            for snap in snapshots
        ),
        addresses=tuple(ip_addresses(one.get("state") or {})),
        protected=keys.get(names.PROTECTED) == "true",
        place=one.get("location"),
        paused=one["status"] in ("Frozen", "Freezing"),
    )


def ip_addresses(state: Mapping[str, Any]) -> Iterable[str]:
    """Global addresses of a guest's own cards, v4 first. Bridges made inside are left out."""
    found = [
        (entry["family"] != "inet", entry["address"])
        for card, network in (state.get("network") or {}).items()
        if card != "lo" and network.get("host_name")
        for entry in network["addresses"] or ()
        if entry["scope"] == "global"
    ]
    return [address for _, address in sorted(found)]


def routes(proc: Path = Path("/proc/net")) -> Iterable[tuple[str, str]]:
    """Subnets that this machine routes, without the default routes. Source: proc(5)."""
    table = proc / "route"
    for line in table.read_text().splitlines()[1:] if table.exists() else ():
        interface, destination, _, _, _, _, _, mask = line.split()[:8]
        if int(mask, 16):
            first, bits = (_swapped(int(word, 16)) for word in (destination, mask))
            yield str(IPv4Network((first, bits.bit_count()))), interface
    table = proc / "ipv6_route"
    for line in table.read_text().splitlines() if table.exists() else ():
        words = line.split()
        prefix, interface = int(words[1], 16), words[-1]
        if prefix and interface != "lo" and not words[0].startswith(("fe80", "ff00")):
            yield str(IPv6Network((int(words[0], 16), prefix), strict=False)), interface


def _swapped(word: int) -> int:
    # /proc/net/route prints addresses in the machine's byte order.
    return int.from_bytes(word.to_bytes(4, sys.byteorder), "big")


def _is_whole(one: Mapping[str, Any], stack: str, is_named: bool) -> bool:
    owner = one["config"].get(names.STACK)
    return bool(owner == stack) or (owner is None and is_named)


async def instances(client: Client) -> list[dict[str, Any]]:
    """All instances of the project, with their state."""
    end = asyncio.get_running_loop().time() + _UNREADABLE_S
    while True:
        try:
            found: list[dict[str, Any]] = await client.listed("/1.0/instances", depth=2)
        except NotFound:
            return []  # the project is not there yet
        # Of one whose state changes just now Incus may tell the name alone.
        unreadable = [one["name"] for one in found if one["config"] is None]
        if not unreadable:
            return found
        if asyncio.get_running_loop().time() > end:
            raise Retryable(
                f"Incus can't read its own instances {', '.join(unreadable)}",
                hint=f"`incus info --project {client.project} {unreadable[0]}` tells why",
            )
        await asyncio.sleep(_PAUSE_S)


async def _volume_sizes(
    client: Client, guests: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, str], str]:
    pools = {
        device["pool"]
        for one in guests
        for device in one["devices"].values()
        if device["type"] == "disk" and "pool" in device and device.get("path") != "/"
    }
    sizes: dict[tuple[str, str], str] = {}
    for pool in sorted(pools):
        path = at("storage-pools", pool, "volumes", "custom")
        for volume in await client.listed(path):
            sizes[(pool, volume["name"])] = volume["config"].get("size", "")
    return sizes
