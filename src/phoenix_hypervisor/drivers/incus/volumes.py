"""Custom storage volumes: data of a guest that outlives its root disk."""

from collections.abc import Set as AbstractSet
from typing import Any

from phoenix_hypervisor.drivers.incus import instance, names
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest, Volume
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, NotFound


class Volumes:
    """The volumes of one stack's guests, each marked with the guest that it belongs to."""

    def __init__(self, client: Client, stack: str, default_pool: str) -> None:
        self._client = client
        self._stack = stack
        self.default_pool = default_pool

    async def ensure(self, guest: Guest, tell: Tell) -> None:
        """Makes what is missing, grows what is too small. Raises `Conflict` for another's."""
        for volume in guest.volumes:
            await self._ensure_one(guest, volume, tell)

    async def delete_others(self, guest: Guest) -> None:
        """Deletes what the guest had and the files no longer name, or name in another pool."""
        await self.delete_of(guest.address, but={self._place(guest, v) for v in guest.volumes})

    async def delete_of(
        self, address: Address, but: AbstractSet[tuple[str, str]] = frozenset()
    ) -> None:
        """Deletes a guest's volumes, except those of these pools and names."""
        for pool, volume in await self.listed():
            if (pool, volume["name"]) in but:
                continue
            if volume["config"].get(names.ADDRESS) == address:
                await self._client.send("DELETE", _path(pool, volume["name"]))

    async def delete_unused(self, pool: str) -> None:
        """Deletes the stack's volumes in a pool that no instance uses: their guest is gone."""
        for volume in await self._in(pool):
            if not volume.get("used_by"):
                await self._client.send("DELETE", _path(pool, volume["name"]))

    async def listed(self) -> list[tuple[str, dict[str, Any]]]:
        """All of the stack, each with the name of its pool."""
        pools = await self._client.listed("/1.0/storage-pools", project=None)
        return [(pool["name"], one) for pool in pools for one in await self._in(pool["name"])]

    async def _in(self, pool: str) -> list[dict[str, Any]]:
        """The stack's volumes in a pool; none where pool or project are gone meanwhile."""
        try:
            found = await self._client.listed(_path(pool))
        except NotFound:
            return []
        # The list has snapshots too, as `volume/snapshot`: they go with their volume.
        own = (one for one in found if "/" not in one["name"])
        return [one for one in own if one["config"].get(names.STACK) == self._stack]

    def _place(self, guest: Guest, volume: Volume) -> tuple[str, str]:
        pool = instance.volume_pool(guest, volume, self.default_pool)
        return pool, names.volume(guest.address, volume.name)

    async def _ensure_one(self, guest: Guest, volume: Volume, tell: Tell) -> None:
        pool, name = self._place(guest, volume)
        marks = {names.STACK: self._stack, names.ADDRESS: guest.address}
        # A size that the files leave open is the pool's own, or stays as it is.
        size = {} if volume.size_gb is None else {"size": f"{volume.size_gb}GiB"}
        try:
            found = await self._client.get(_path(pool, name))
        except NotFound:
            tell(f"making the volume {volume.name}")
            body = {"name": name, "config": marks | size}
            await self._client.send("POST", _path(pool), body)
            return
        if not marks.items() <= found["config"].items():
            raise Conflict(f"a volume {name} is there that the stack “{self._stack}” did not make")
        if not size.items() <= found["config"].items():
            tell(f"resizing the volume {volume.name}")
            await self._client.send("PATCH", _path(pool, name), {"config": size})


def _path(pool: str, *name: str) -> str:
    return at("storage-pools", pool, "volumes", "custom", *name)
