"""Storage pools, bridges and the project: global things in Incus, made where they are missing.

One that exists is used and never altered; only what bears the stack's mark is ever removed.
"""

import contextlib
from ipaddress import ip_interface, ip_network
from typing import Any

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Bridge, Pool
from phoenix_hypervisor.model.errors import Conflict, NotFound
from phoenix_hypervisor.model.observed import SeenResource

_DEFAULT_POOL_GB = 30


class Resources:
    """What guests need around them."""

    def __init__(self, client: Client) -> None:
        self._client = client

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
                managed = {"managed": bool(network["managed"])}
                found[where] = SeenResource(where, network["config"].get(names.STACK), managed)
        return found

    async def ensure_project(self) -> None:
        """Makes the project that guests live in."""
        name = self._client.project
        try:
            await self._client.get(f"/1.0/projects/{name}", project=None)
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
        path = f"/1.0/projects/{self._client.project}"
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
            await self._client.send("POST", path, body, project=project)

    async def remove(self, resource: Address, stack: str) -> None:
        """Removes one that bears the stack's mark. Raises `Conflict` where somebody uses it."""
        name = names.host_of(resource)
        if addresses.kind(resource) == "storage":
            path, project = f"/1.0/storage-pools/{name}", None
        else:
            path, project = f"/1.0/networks/{name}", "default"
        found = await self._client.get(path, project=project)
        if found["config"].get(names.STACK) != stack:
            raise Conflict(f"{resource} was not made by the stack “{stack}”: left alone")
        used = [user for user in found.get("used_by", []) if "/images/" not in user]
        if used:
            raise Conflict(f"{resource} is still used by {', '.join(used)}: left alone")
        await self._client.send("DELETE", path, project=project)


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
