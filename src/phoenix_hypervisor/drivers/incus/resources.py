"""Storage pools, bridges and the project: global things in Incus, made where they are missing.

One that exists is used and never altered; only what bears the stack's mark is ever removed.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from typing import Any

import tenacity

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.drivers.incus.volumes import Volumes
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Bridge, Desired, Json, Pool
from phoenix_hypervisor.model.errors import Conflict, Locked, NotFound
from phoenix_hypervisor.model.observed import Observed, SeenResource

_DEFAULT_POOL_GB = 30
_TRIES = 8


class Resources:
    """What guests need around them."""

    def __init__(self, client: Client, volumes: Volumes) -> None:
        self._client = client
        self._volumes = volumes
        self._pool_lock = asyncio.Lock()

    async def observe(self) -> dict[Address, SeenResource]:
        """All pools and bridges of this daemon and all plain bridges of the machine."""
        pools = await self._client.listed("/1.0/storage-pools", project=None)
        networks = await self._client.listed("/1.0/networks", project="default")
        found: dict[Address, SeenResource] = {}
        for pool in pools:
            where = addresses.storage(pool["name"])
            found[where] = SeenResource(where, pool["config"].get(names.STACK))
        for network in networks:
            if network["type"] == "bridge":
                where = addresses.bridge(network["name"])
                config = network["config"]
                found[where] = SeenResource(where, config.get(names.STACK), _shown(network))
        return found

    async def ensure_project(self) -> None:
        """Makes the project that guests live in."""
        name = self._client.project
        try:
            await self._client.get(at("projects", name), project=None)
        except NotFound:
            body = {
                "name": name,
                "description": "Guests that Phoenix manages",
                "config": {
                    "features.networks": "false",
                    "features.images": "false",
                    "features.profiles": "false",
                    "features.storage.volumes": "true",
                    names.PREFIX + "managed": "true",
                },
            }
            await self._make("/1.0/projects", body, None)

    async def remove_empty_project(self) -> None:
        """Removes the project if Phoenix made it and nothing is in it any more."""
        path = at("projects", self._client.project)
        try:
            project = await self._client.get(path, project=None)
        except NotFound:
            return
        made_here = project["config"].get(names.PREFIX + "managed") == "true"
        if made_here and not project.get("used_by"):
            await self._client.send("DELETE", path, project=None)

    async def ensure_pool(self, pool: Pool, stack: str) -> None:
        """A btrfs pool on a loop file: copy-on-write clones without a disk of its own."""
        body = {
            "name": pool.name,
            "driver": "btrfs",
            "description": f"Made by Phoenix for {stack}",
            "config": {"size": f"{pool.size_gb or _DEFAULT_POOL_GB}GiB", names.STACK: stack},
        }
        await self._make("/1.0/storage-pools", body, None)

    async def ensure_default_pool(self, name: str, stack: str) -> None:
        """The driver's own pool, on which guests lie whose files name none."""
        async with self._pool_lock:  # a second one would find it announced, but not made yet
            try:
                await self._client.get(at("storage-pools", name), project=None)
            except NotFound:
                await self.ensure_pool(Pool(addresses.storage(name), name), stack)

    async def ensure_bridge(self, bridge: Bridge, stack: str) -> None:
        """A bridge with NAT whose own address is its guests' gateway."""
        config = {
            "ipv4.address": "none",
            "ipv6.address": "none",
            # Guests are known by address: names in DNS would forbid two cards on one bridge.
            "dns.mode": "none",
            names.STACK: stack,
        }
        if bridge.cidr:
            family = f"ipv{ip_interface(bridge.cidr).version}"
            config |= {f"{family}.address": bridge.cidr, f"{family}.nat": "true"}
        else:
            config |= {"ipv4.address": "auto", "ipv4.nat": "true"}
        body: dict[str, Any] = {
            "name": bridge.name,
            "type": "bridge",
            "description": f"Made by Phoenix for {stack}",
            "config": config,
        }
        await self._make("/1.0/networks", body, "default")

    async def _make(self, path: str, body: dict[str, Any], project: str | None) -> None:
        # One that is there by now, made by another step or by hand, is used as it is.
        with contextlib.suppress(Conflict):
            await self._patiently("POST", path, body, project=project)

    async def _patiently(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        project: str | None,
    ) -> None:
        # A bridge's coming and going looks at all cards of the machine, and fails where one of
        # them, of whatever guest, goes meanwhile.
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Locked),
            stop=tenacity.stop_after_attempt(_TRIES),
            wait=tenacity.wait_exponential(multiplier=0.1, max=1),
            reraise=True,
        ):
            with attempt:
                await self._client.send(method, path, body, project=project)

    async def remove(self, resource: Address, stack: str) -> None:
        """Removes one that bears the stack's mark. Raises `Conflict` where somebody uses it.

        Volumes of the stack whose guest is gone go with their pool.
        """
        name = names.host_of(resource)
        is_pool = addresses.kind(resource) == "storage"
        path = at("storage-pools" if is_pool else "networks", name)
        project = None if is_pool else "default"
        found = await self._client.get(path, project=project)
        if found["config"].get(names.STACK) != stack:
            raise Conflict(f"{resource} was not made by the stack “{stack}”: left alone")
        if is_pool:
            await self._volumes.delete_unused(name)
            found = await self._client.get(path, project=project)
        used = [user for user in found.get("used_by", []) if "/images/" not in user]
        if used:
            raise Conflict(f"{resource} is still used by {', '.join(used)}: left alone")
        await self._patiently("DELETE", path, project=project)


def routed_elsewhere(bridge: Bridge, routes: tuple[tuple[str, str], ...]) -> str | None:
    """The route that the bridge's subnet would take over, or None."""
    if bridge.cidr is None:
        return None
    wanted = ip_interface(bridge.cidr).network
    for subnet, interface in routes:
        known = ip_network(subnet, strict=False)
        if interface != bridge.name and known.version == wanted.version and known.overlaps(wanted):
            return f"{subnet} on {interface}"
    return None


def misplaced(desired: Desired, observed: Observed) -> Iterator[str]:
    """Addresses of guests that the bridge they are on, which is there already, does not serve."""
    for guest in desired.guests.values():
        for nic in guest.nics:
            there = observed.resources.get(addresses.bridge(nic.bridge))
            cidr = there.fields.get("cidr") if there else None
            if not isinstance(cidr, str) or nic.address in (None, "dhcp"):
                continue
            own, bridge = ip_interface(nic.address), ip_interface(cidr)
            if own.version == bridge.version and own.ip not in bridge.network:
                yield (
                    f"{guest.address}: its address {nic.address} is outside the subnet "
                    f"{bridge.network} of the bridge {nic.bridge}, which is there already; "
                    "give the guest an address in it, or use another bridge"
                )


def _shown(network: dict[str, Any]) -> dict[str, Json]:
    """Of a bridge that Incus does not manage nobody tells the address."""
    shown: dict[str, Json] = {"managed": bool(network["managed"])}
    for key in ("ipv4.address", "ipv6.address"):
        if "/" in (cidr := network["config"].get(key, "")):
            shown.setdefault("cidr", cidr)
    return shown
