"""Snapshots of guests on Incus, together with their volumes.

Incus takes and restores snapshots of an instance without the custom volumes that are attached to
it. So each volume of a guest gets a snapshot of the same name, before the instance does, and loses
it before the instance does: one of the instance is whole, unless its deletion broke off, and one
that only volumes hold is what is left of one whose taking or deletion broke off.

Source: the Incus documentation, "How to back up instances" and "How to move or copy storage
volumes"; `zfs.remove_snapshots` under "ZFS - zfs".
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from phoenix_hypervisor.drivers import going_back
from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, NotFound
from phoenix_hypervisor.model.snapshot import Taken

_LIMIT_S = 900.0
_ORDERED = ("zfs",)
"""Storage that only goes back to a volume's newest snapshot."""

Place = tuple[str, str]
"""A volume: its pool and its name."""

Held = Mapping[str, str]
"""The snapshots of a volume: their names, and when they were taken."""


class Snapshots:
    """The snapshots of one stack's guests."""

    def __init__(self, client: Client, stack: str) -> None:
        self._client = client
        self._stack = stack

    async def take(self, address: Address, name: str, tell: Tell) -> None:
        """Takes one; one of the same name goes first."""
        now = await self._own(address)
        tell(f"taking the snapshot {name}")
        await self._drop(address, name, now)
        for place in places(now):
            await self._client.send("POST", _of_volume(place), {"name": name}, limit_s=_LIMIT_S)
        body = {"name": name, "stateful": False}
        await self._client.send("POST", _of(address), body, limit_s=_LIMIT_S)

    async def listed(self, address: Address) -> Sequence[Taken]:
        """All of a guest, the oldest first."""
        now = await self._client.get(at("instances", names.instance(address)))
        found = await self._client.listed(_of(address))
        held = {place: await self._held(place) for place in places(now)}
        pools = {pool for pool, _ in held} | _root_pool(now)
        some = found or any(held.values())
        drivers = [await self._driver_of(pool) for pool in sorted(pools)] if some else []
        return read(found, held, ordered=any(one in _ORDERED for one in drivers))

    async def rollback(self, address: Address, name: str, tell: Tell) -> None:
        """Brings a guest that rests back, and its volumes as far as the snapshot holds them."""
        now = await self._own(address)
        found = going_back.choose(await self.listed(address), address, name)
        if now["status"] != "Stopped":
            raise Conflict(f"{address} runs: it must rest to go back")
        tell(f"going back to the snapshot {name}")
        # Whatever happens from here on, the next plan knows that the inside is not as it was.
        await self._client.send("PATCH", _instance(address), {"config": {names.FINGERPRINT: ""}})
        for place in places(now):
            if name in await self._held(place):
                where = at("storage-pools", place[0], "volumes", "custom", place[1])
                await self._client.send("PUT", where, {"restore": name}, limit_s=_LIMIT_S)
        await self._client.send("PUT", _instance(address), {"restore": name}, limit_s=_LIMIT_S)
        if found.stack != self._stack:  # taken before the guest was taken over
            marks = {
                names.STACK: self._stack,
                names.ADDRESS: address,
                names.STATE: names.COMPLETE,
                names.FINGERPRINT: "",
            }
            await self._client.send("PATCH", _instance(address), {"config": marks})

    async def delete(self, address: Address, name: str, tell: Tell) -> None:
        """Deletes one, and what belongs to it of the volumes. Raises `NotFound`."""
        now = await self._own(address)
        tell(f"deleting the snapshot {name}")
        if not await self._drop(address, name, now):
            raise NotFound(f"{address} has no snapshot {name}")

    async def leave_volumes(self, address: Address) -> None:
        """Deletes what snapshots of the guest hold of its volumes, which outlive it."""
        now = await self._own(address)
        if not (kept := places(now)):
            return
        for one in await self._client.listed(_of(address)):
            for place in kept:
                await self._drop_one(_of_volume(place, _plain(one)))

    async def _drop(self, address: Address, name: str, now: Mapping[str, Any]) -> bool:
        found = False
        for place in places(now):
            found |= await self._drop_one(_of_volume(place, name))
        return await self._drop_one(_of(address, name)) or found

    async def _drop_one(self, where: str) -> bool:
        with contextlib.suppress(NotFound):
            await self._client.send("DELETE", where, limit_s=_LIMIT_S)
            return True
        return False

    async def _held(self, place: Place) -> Held:
        try:
            rows = await self._client.listed(_of_volume(place))
        except NotFound:
            return {}
        return {_plain(one): str(one["created_at"]) for one in rows}

    async def _driver_of(self, pool: str) -> str:
        found = await self._client.get(at("storage-pools", pool), project=None)
        return str(found["driver"])

    async def _own(self, address: Address) -> Mapping[str, Any]:
        now: Mapping[str, Any] = await self._client.get(_instance(address))
        if now["config"].get(names.STACK) != self._stack:
            raise Conflict(f"{names.instance(address)} does not belong to this stack: left alone")
        return now


def read(
    rows: Iterable[Mapping[str, Any]], held: Mapping[Place, Held], *, ordered: bool
) -> list[Taken]:
    """From Incus's list. `held` is what each of the guest's volumes has."""
    when = {name: at for has in held.values() for name, at in has.items()}
    own = {_plain(row): row for row in rows}
    when |= {name: row["created_at"] for name, row in own.items()}
    order = sorted(when, key=lambda name: (when[name], name))
    found: list[Taken] = []
    for position, name in enumerate(order):
        keys = own[name]["config"] if name in own else {}
        found.append(
            Taken(
                name=name,
                taken=datetime.fromisoformat(when[name]),
                stack=keys.get(names.STACK),
                fingerprint=keys.get(names.FINGERPRINT) or None,
                whole=name in own and keys.get(names.STATE) != names.CREATING,
                above=tuple(reversed(order[position + 1 :])) if ordered else (),
                left=tuple(sorted(volume for (_, volume), has in held.items() if name not in has)),
            )
        )
    return found


def places(instance: Mapping[str, Any]) -> list[Place]:
    """The pools and names of an instance's own volumes."""
    return [
        (device["pool"], device["source"])
        for name, device in sorted(instance["devices"].items())
        if name.startswith("volume-") and device.get("type") == "disk"
    ]


def _root_pool(instance: Mapping[str, Any]) -> set[str]:
    devices = instance["devices"].values()
    return {one["pool"] for one in devices if one.get("path") == "/" and "pool" in one}


def _plain(row: Mapping[str, Any]) -> str:
    return str(row["name"]).rpartition("/")[2]


def _instance(address: Address) -> str:
    return at("instances", names.instance(address))


def _of(address: Address, *name: str) -> str:
    return at("instances", names.instance(address), "snapshots", *name)


def _of_volume(place: Place, *name: str) -> str:
    pool, volume = place
    return at("storage-pools", pool, "volumes", "custom", volume, "snapshots", *name)
