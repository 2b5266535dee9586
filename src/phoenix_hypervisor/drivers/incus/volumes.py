"""Custom storage volumes: data of a guest that outlives its root disk."""

from collections.abc import Set as AbstractSet
from typing import Any

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest, Volume
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, NotFound


class Volumes:
    """The volumes of one stack's guests, each marked with the guest that it belongs to."""

    def __init__(self, client: Client, stack: str, default_pool: str) -> None:
        self._client = client
        self._stack = stack
        self._default_pool = default_pool

    async def ensure(self, guest: Guest, tell: Tell) -> None:
        """Makes what is missing, grows what is too small. Raises `Conflict` for another's."""
        for volume in guest.volumes:
            pool = volume.pool or guest.pool or self._default_pool
            await self._ensure_one(guest, volume, _folder(pool), tell)

    async def delete_of(self, address: Address, but: AbstractSet[str] = frozenset()) -> None:
        """Deletes a guest's volumes, except those of these names."""
        kept = {names.volume(address, name) for name in but}
        for pool in await self._client.listed("/1.0/storage-pools", project=None):
            path = _folder(pool["name"])
            for volume in await self._client.listed(path):
                if self._belongs(volume, address) and volume["name"] not in kept:
                    await self._client.send("DELETE", f"{path}/{volume['name']}")

    def _belongs(self, volume: dict[str, Any], address: Address) -> bool:
        marks = (volume["config"].get(names.STACK), volume["config"].get(names.ADDRESS))
        return marks == (self._stack, address)

    async def _ensure_one(self, guest: Guest, volume: Volume, path: str, tell: Tell) -> None:
        name = names.volume(guest.address, volume.name)
        config = {names.STACK: self._stack, names.ADDRESS: guest.address}
        if volume.size_gb is not None:
            config["size"] = f"{volume.size_gb}GiB"
        try:
            found = await self._client.get(f"{path}/{name}")
        except NotFound:
            tell(f"making the volume {volume.name}")
            await self._client.send("POST", path, {"name": name, "config": config})
            return
        if not self._belongs(found, guest.address):
            raise Conflict(f"a volume {name} is there that the stack “{self._stack}” did not make")
        if found["config"].get("size") != config.get("size"):
            tell(f"resizing the volume {volume.name}")
            await self._client.send("PATCH", f"{path}/{name}", {"config": config})


def _folder(pool: str) -> str:
    return f"/1.0/storage-pools/{pool}/volumes/custom"
