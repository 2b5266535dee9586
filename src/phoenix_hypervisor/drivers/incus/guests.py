"""Guests on Incus: create, change, start, stop, delete.

Each method leaves the old state, the new one, or an instance that says `creating` and is made
anew by the next apply.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from phoenix_hypervisor.drivers.incus import handover, instance, names
from phoenix_hypervisor.drivers.incus.client import Client, OutOfTime, at
from phoenix_hypervisor.drivers.incus.images import Images, origin
from phoenix_hypervisor.drivers.incus.inside import Inside
from phoenix_hypervisor.drivers.incus.snapshots import Snapshots
from phoenix_hypervisor.drivers.incus.volumes import Volumes
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, DriverError, Locked, NotFound

_KEPT = ("volatile.", "image.", names.HANDOVER)
_STOP_LIMIT_S = 90  # databases take their time
_HARD_STOP_LIMIT_S = 30
_PLUG_LIMIT_S = 15.0
_SWAP_LIMIT_S = 20.0
"""So long it is tried to put a card on again: the daemon may be away that long when it restarts."""
_OWN_ADDRESS = ".hwaddr"
"""A card that comes on again under another one is not found for a while: neighbours remember."""
_AGAIN_S = 0.5
_START_LIMIT_S = 60


class Guests:
    """The instances of one project that bear one stack's mark."""

    def __init__(
        self, client: Client, inside: Inside, images: Images, volumes: Volumes, stack: str
    ) -> None:
        self._client = client
        self._snapshots = Snapshots(client, stack)
        self._images = images
        self._volumes = volumes
        self._stack = stack
        self._inside = inside
        self._handover: dict[str, asyncio.Task[handover.Handover]] = {}

    async def create(self, guest: Guest, desired: Desired, tell: Tell) -> None:
        """Makes it, stopped. Raises `Conflict` where a foreign instance has the name."""
        await self._clear_half_made(guest.address, tell)
        body = await self._body(guest, tell)
        await self._volumes.ensure(guest, tell)
        tell("creating")
        gathering = self._gathering(guest, desired)  # takes a second: meanwhile it is made
        await self._make(guest.address, body)
        handed = await asyncio.shield(gathering)
        # A clone got its source's keys and devices too: set to exactly what is wanted.
        devices = body["devices"] | _shared(handed)
        await self._replace(guest, body["config"], devices)
        await self._hand_over(guest, handed, tell)
        if isinstance(guest.source, CloneOf):
            await self._inside.forget_identity(guest.address)
        await self._inside.write_name(guest)
        await self._inside.write_network(guest)
        await self._patch(guest.address, {names.STATE: names.COMPLETE})

    async def update(self, guest: Guest, changes: Sequence[FieldChange], tell: Tell) -> None:
        """Brings keys, devices and the files inside to what is wanted."""
        tell("changing " + ", ".join(change.path for change in changes))
        await self._volumes.ensure(guest, tell)
        current, _ = await self._read(guest.address)
        kept = {k: v for k, v in current["config"].items() if not instance.owned(k)}
        handed = {k: v for k, v in current["devices"].items() if k.startswith("handover-")}
        bridges = await self._bridges()
        await self._replace(
            guest,
            kept | instance.config(guest),
            handed | instance.devices(guest, self._volumes.default_pool, bridges),
        )
        if any(change.path.startswith("volumes.") for change in changes):
            await self._volumes.delete_others(guest)
        for change in changes:
            if change.path == "name":
                await self._inside.rename(guest, str(change.before))
        if any(change.path.startswith(("network.", "firewall")) for change in changes):
            await self._inside.write_network(guest)
            if current["status"] == "Running":
                await self._inside.reload(guest.address)

    async def start(self, guest: Guest, tell: Tell) -> None:
        """Starts it and waits for its init system and its addresses. Cards that we took off, and
        could not put on again, come first.
        """
        current, _ = await self._read(guest.address)
        if lost := _unplugged(current) - current["devices"].keys():
            await self._swap(guest, lost)
        if current["status"] == "Frozen":  # a backup paused it, and was killed
            tell("going on")
            await self._set_state(guest.address, "unfreeze", _START_LIMIT_S)
        elif current["status"] != "Running":
            tell("starting")
            await self._set_state(guest.address, "start", _START_LIMIT_S)
        await self._inside.ready(guest, tell)

    async def stop(self, address: Address, tell: Tell, limit_s: float | None = None) -> None:
        """Shuts down; a guest that has not stopped in time, hard."""
        current, _ = await self._read(address)
        if current["status"] == "Stopped":
            return
        tell("stopping")
        try:
            await self._set_state(address, "stop", round(limit_s or _STOP_LIMIT_S))
        except OutOfTime:
            tell("stopping hard")
            await self._set_state(address, "stop", _HARD_STOP_LIMIT_S, force=True)

    async def plug_again(self, guest: Guest, cards: Sequence[str], tell: Tell) -> None:
        """Takes network cards off a running guest and puts them on again."""
        tell("taking off and putting on " + ", ".join(cards))
        # Nobody who breaks off comes between the two; one who is killed there has left a mark.
        await asyncio.shield(self._swap(guest, {names.nic_device(card) for card in cards}))
        await self._inside.ready(guest, tell, _PLUG_LIMIT_S)

    async def taken_away(self, guest: Guest, cards: Sequence[str]) -> Sequence[str]:
        """Which of these cards somebody took away: no mark says that we did."""
        current, _ = await self._read(guest.address)
        ours = current["devices"].keys() | _unplugged(current)
        return [card for card in cards if names.nic_device(card) not in ours]

    async def _swap(self, guest: Guest, cards: set[str]) -> None:
        current, etag = await self._read(guest.address)
        devices: instance.Devices = current["devices"]
        if taken := cards - devices.keys() - _unplugged(current):
            raise Conflict(
                f"{guest.address}: somebody took {', '.join(sorted(taken))} away",
                hint="`phoenix apply` puts it back",
            )
        off = cards | (_unplugged(current) - devices.keys())
        made = instance.devices(guest, self._volumes.default_pool, await self._bridges())
        on = {name: made[name] for name in off & made.keys()}
        on |= {name: devices[name] for name in off & devices.keys()}
        left = {name: words for name, words in devices.items() if name not in off}
        kept = {k: v for k, v in current["config"].items() if k.endswith(_OWN_ADDRESS)}
        if left != devices:
            marked = current["config"] | {names.UNPLUGGED: " ".join(sorted(off))}
            body = {**current, "config": marked, "devices": left}
            await self._client.send("PUT", _path(guest.address), body, etag=etag)
        until = time.monotonic() + _SWAP_LIMIT_S
        while True:
            try:
                await self._put_on(guest.address, on, kept)
            except DriverError:
                if time.monotonic() >= until:
                    raise
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    async def _put_on(
        self, address: Address, on: instance.Devices, kept: Mapping[str, str]
    ) -> None:
        now, etag = await self._read(address)
        own = {k: v for k, v in now["config"].items() if k != names.UNPLUGGED}
        body = {**now, "config": {**own, **kept}, "devices": now["devices"] | on}
        await self._client.send("PUT", _path(address), body, etag=etag)

    async def delete(self, address: Address, tell: Tell, *, keep_volumes: bool) -> None:
        """Removes the instance and, unless they are kept, the volumes that were made for it."""
        with contextlib.suppress(NotFound):
            await self.delete_instance(address, tell, keep_volumes=keep_volumes)
        if not keep_volumes:  # also those of an instance that somebody removed by hand
            await self._volumes.delete_of(address)

    async def delete_instance(
        self, address: Address, tell: Tell, *, keep_volumes: bool = False
    ) -> None:
        """Removes the instance alone. `keep_volumes`: not even its snapshots hold them then."""
        current, _ = await self._read(address)
        if current["config"].get(names.PROTECTED) == "true":
            raise Conflict(
                f"{address} is protected",
                hint="set `protected` to false and apply before deleting it",
            )
        if current["status"] != "Stopped":
            tell("stopping")
            with contextlib.suppress(DriverError):  # the delete below tells what is wrong
                await self._set_state(address, "stop", _HARD_STOP_LIMIT_S, force=True)
        tell("deleting")
        if keep_volumes:
            await self._snapshots.leave_volumes(address)
        await self._client.send("DELETE", _path(address))

    async def mark(self, address: Address, fingerprint: str | None) -> None:
        """Records what is configured inside."""
        await self._read(address)
        await self._patch(address, {names.FINGERPRINT: fingerprint or ""})

    async def adopt(self, guest: Guest) -> None:
        """Marks an instance that no stack owns. What the marks say of it is what is asked for."""
        current = await self._client.get(_path(guest.address))
        if current["config"].get(names.STACK) not in (None, self._stack):
            raise Conflict(f"{guest.address} belongs to the stack {current['config'][names.STACK]}")
        marks = {
            names.STACK: self._stack,
            names.ADDRESS: guest.address,
            names.STATE: names.COMPLETE,
        }
        asked = {k: v for k, v in instance.config(guest).items() if k.startswith(names.PREFIX)}
        await self._patch(guest.address, asked | marks)

    async def _body(self, guest: Guest, tell: Tell) -> dict[str, Any]:
        marks = {
            names.STACK: self._stack,
            names.ADDRESS: guest.address,
            names.STATE: names.CREATING,
            names.FINGERPRINT: "",
        }
        bridges = await self._bridges(guest)
        body: dict[str, Any] = {
            "name": names.instance(guest.address),
            "type": "container",
            "profiles": [],
            "config": instance.config(guest) | marks,
            "devices": instance.devices(guest, self._volumes.default_pool, bridges),
        }
        if isinstance(guest.source, CloneOf):
            source = names.instance(guest.source.address)
            if guest.source.snapshot:
                source += f"/{guest.source.snapshot}"
            tell(f"cloning {source}")
            body["source"] = {"type": "copy", "source": source, "instance_only": True}
        else:
            found = await self._images.ensure(guest.source.template, tell)
            body["source"] = {"type": "image", "alias": found.alias}
        return body

    def _gathering(self, guest: Guest, desired: Desired) -> asyncio.Task[handover.Handover]:
        """What the guest is handed over. All guests of a suite wait for the same, so shield it."""
        found = origin(guest, desired)
        task = self._handover.get(found.suite)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(handover.collect(found.suite, found.distribution))
            self._handover[found.suite] = task
        return task

    async def _hand_over(self, guest: Guest, handed: handover.Handover, tell: Tell) -> None:
        current, _ = await self._read(guest.address)
        if current["config"].get(names.HANDOVER) == handed.digest:
            return  # came along with the clone
        tell("handing over certificates and package sources")
        await self._inside.hand_over(guest.address, handed)
        await self._patch(guest.address, {names.HANDOVER: handed.digest})

    async def _make(self, address: Address, body: Mapping[str, Any]) -> None:
        """Raises `Locked` where the daemon still makes what an interrupted run had asked for."""
        try:
            await self._client.send("POST", "/1.0/instances", body, limit_s=1800)
        except Conflict:
            current = await self._client.get(_path(address))
            if not self._is_half_made(current):
                raise
            raise Locked(
                f"{address} is still being made for a run that was broken off", after_s=1.0
            ) from None

    def _is_half_made(self, current: Mapping[str, Any]) -> bool:
        config = current["config"]
        return (config.get(names.STACK), config.get(names.STATE)) == (self._stack, names.CREATING)

    async def _clear_half_made(self, address: Address, tell: Tell) -> None:
        try:
            current = await self._client.get(_path(address))
        except NotFound:
            return
        if not self._is_half_made(current):
            raise Conflict(
                f"an instance {names.instance(address)} is there already, and not of this making",
                hint="give the guest another id, or remove the instance by hand",
            )
        tell("removing what an interrupted run had half made")
        await self._client.send("DELETE", _path(address))

    async def _bridges(self, needing: Guest | None = None) -> list[str]:
        """The bridges that Incus manages. Raises `NotFound` for one that a new guest needs."""
        found = await self._client.listed("/1.0/networks", project="default")
        if needing is not None:
            # Incus takes a card on a bridge that is not there, and fails only at the start.
            known = {network["name"] for network in found if network["type"] == "bridge"}
            if missing := sorted({nic.bridge for nic in needing.nics} - known):
                raise NotFound(f"{needing.address}: there is no bridge {', '.join(missing)}")
        return [network["name"] for network in found if network["managed"]]

    async def _read(self, address: Address) -> tuple[Mapping[str, Any], str]:
        current, etag = await self._client.get_with_etag(_path(address))
        if current["config"].get(names.STACK) != self._stack:
            raise Conflict(f"{names.instance(address)} does not belong to this stack: left alone")
        return current, etag

    async def _replace(
        self, guest: Guest, config: Mapping[str, str], devices: instance.Devices
    ) -> None:
        current, etag = await self._client.get_with_etag(_path(guest.address))
        own = {k: v for k, v in current["config"].items() if k.startswith(_KEPT)}
        body = {
            "architecture": current["architecture"],
            "config": own | dict(config),
            "devices": devices,
            "profiles": [],
            "ephemeral": False,
            "description": f"{guest.name} (Phoenix, {self._stack})",
        }
        await self._client.send("PUT", _path(guest.address), body, etag=etag)

    async def _patch(self, address: Address, config: Mapping[str, str]) -> None:
        await self._client.send("PATCH", _path(address), {"config": dict(config)})

    async def _set_state(
        self, address: Address, action: str, limit_s: int, *, force: bool = False
    ) -> None:
        body = {"action": action, "timeout": limit_s, "force": force, "stateful": False}
        await self._client.send("PUT", _path(address, "state"), body, limit_s=limit_s + 30)


def _shared(handed: handover.Handover) -> instance.Devices:
    """This machine's folders with packages, in the guest at the same place."""
    return {
        f"handover-{number}": {
            "type": "disk",
            "source": str(folder),
            "path": str(folder),
            "readonly": "true",
        }
        for number, folder in enumerate(handed.folders)
    }


def _unplugged(current: Mapping[str, Any]) -> set[str]:
    return set(current["config"].get(names.UNPLUGGED, "").split())


def _path(address: Address, *more: str) -> str:
    if not addresses.is_guest(address):
        raise NotFound(f"{address} is no guest")
    return at("instances", names.instance(address), *more)
