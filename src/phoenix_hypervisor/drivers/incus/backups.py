"""Backups of guests on Incus: exported into files, and restored as guests of another id.

Incus exports an instance without the custom volumes that are attached to it, so each volume is
exported beside it.

Source: the Incus documentation, "How to back up instances", "How to back up custom storage
volumes", and the REST API's `/1.0/instances/{name}/backups`.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from phoenix_hypervisor.drivers.incus import apart, names, places, snapshots
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.drivers.incus.guests import Guests
from phoenix_hypervisor.drivers.incus.inside import Inside
from phoenix_hypervisor.drivers.incus.instance import Devices
from phoenix_hypervisor.drivers.incus.volumes import Volumes
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.backup import Backup
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, DriverError, Locked, NotFound
from phoenix_hypervisor.model.host.backups import BackupJob, dropped

_LIMIT_S = 6 * 3600.0
_POWER_S = 60
_ENDINGS = {"zstd": ".tar.zst", "gzip": ".tar.gz", "none": ".tar"}
_INSTANCE = "instance"


class Backups:
    """The backups of one stack's guests in one folder of this machine."""

    def __init__(
        self,
        client: Client,
        guests: Guests,
        inside: Inside,
        volumes: Volumes,
        place: places.Places,
    ) -> None:
        self._client = client
        self._guests = guests
        self._inside = inside
        self._volumes = volumes
        self._place = place

    async def listed(self) -> Sequence[Backup]:
        """All whole ones."""
        return sorted(self._place.listed(), key=lambda one: one.taken)

    async def take(self, guest: Guest, job: BackupJob, tell: Tell) -> Sequence[Backup]:
        """Exports the guest and its volumes, then drops what is no longer kept."""
        if job.compress not in _ENDINGS:
            raise DriverError(f"Incus can't compress with {job.compress}", hint="zstd or gzip")
        now = await self._own(names.instance(guest.address))
        part = self._place.begin(guest.address, datetime.now(UTC))
        said: dict[str, Any] = {
            "format": 1,
            "guest": guest.address,
            "name": guest.name,
            "stack": self._place.stack,
            "job": job.name,
            "notes": job.notes or "",
        }
        try:
            async with self._quiet(guest, job, now, tell):
                files = await self._export(guest.address, now, job.compress, part, tell)
            made = self._place.finish(part, said | {"files": files})
        except OSError as error:
            raise DriverError(f"the backup of {guest.address} can't be written: {error}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)  # there only where it did not come to its end
        # What another job took is for that one to keep or drop.
        own = [
            one
            for one in self._place.listed()
            if one.guest == guest.address and places.about(one).get("job") == job.name
        ]
        gone = dropped(own, lambda one: one.taken, job.keep)
        for one in gone:
            tell(f"dropping the backup of {one.taken:%Y-%m-%d %H:%M} UTC")
            await asyncio.to_thread(self._place.remove, one)
        return [made, *gone]

    async def restore(self, backup: Backup, guest: Guest, spare: Address, tell: Tell) -> None:
        """Imports it under a name that tells what it is, cuts it off, and renames it."""
        said = places.about(backup)
        tell("reading the backup")
        await asyncio.to_thread(places.check, backup, said["files"])
        folder, name = Path(backup.id), names.instance(spare)
        imported = names.restored(name)
        root = next(one for one in said["files"] if one.startswith(f"{_INSTANCE}.tar"))
        tell("restoring the root disk")
        headers = {"X-Incus-name": imported}
        await self._client.upload("/1.0/instances", folder / root, headers, limit_s=_LIMIT_S)
        # Before it gets its name: then it has nothing of the guest that it is a copy of.
        made = await self._set_apart(guest.address, spare)
        await self._client.send("POST", at("instances", imported), {"name": name})
        if gone := apart.left_out(made):
            tell(f"it goes without {', '.join(gone)}")
        devices = apart.devices(made)
        for device, words in apart.volumes(made).items():
            tell(f"restoring the volume {device.removeprefix('volume-')}")
            volume = names.restored(names.volume(spare, device.removeprefix("volume-")))
            where = at("storage-pools", words["pool"], "volumes", "custom")
            file = next(one for one in said["files"] if one.startswith(f"{device}.tar"))
            named = {"X-Incus-name": volume}
            await self._client.upload(where, folder / file, named, limit_s=_LIMIT_S)
            config = {names.ADDRESS: spare, names.SPARE: guest.address}
            await self._client.send("PATCH", f"{where}/{volume}", {"config": config})
            devices[device] = {**words, "source": volume}
        await self._client.send("PATCH", at("instances", name), {"devices": devices})

    async def start(self, guest: Guest, spare: Address, tell: Tell) -> None:
        """Without waiting for addresses that nobody could give."""
        await self._guests.start(
            replace(
                guest,
                address=spare,
                id=int(addresses.ident(spare)),
                nics=tuple(nic for nic in guest.nics if nic.address != "dhcp"),
            ),
            tell,
        )

    def inside_of(self, spare: Address) -> None:
        """None: by Incus itself, as into every guest."""

    async def discard(self, spare: Address, tell: Tell) -> None:
        """Removes it, if it is a spare one, and what was restored for it."""
        name = names.instance(spare)
        imported = names.restored(name)
        volumes = (await self._restored()).get(spare, ())
        is_there = False
        with contextlib.suppress(NotFound):
            await self._own(imported)
            is_there = True
            tell(f"removing {imported}")
            await self._client.send("DELETE", at("instances", imported))
        with contextlib.suppress(NotFound):
            now = await self._own(name)
            if names.SPARE in now["config"]:
                tell(f"removing {spare}")
                await self._guests.delete_instance(spare, tell)
            elif not (is_there or volumes):
                raise Conflict(f"{spare} is no restored backup: it is left alone")
        for pool, volume in volumes:
            tell(f"removing the restored volume {volume}")
            where = at("storage-pools", pool, "volumes", "custom", volume)
            await self._client.send("DELETE", where)

    async def spares(self) -> Sequence[Address]:
        """By their mark, or by the name of an import; also where only a volume is left."""
        try:
            found = await self._client.listed("/1.0/instances")
        except NotFound:
            return []  # the project is not there yet
        own = [one for one in found if one["config"].get(names.STACK) == self._place.stack]
        spare = [names.restored_for(one["name"]) for one in own]
        spare += [names.address(one["name"]) for one in own if names.SPARE in one["config"]]
        known = dict.fromkeys(one for one in spare if one is not None)
        return [*(known | dict.fromkeys(await self._restored()))]

    async def _set_apart(self, original: Address, spare: Address) -> Mapping[str, Any]:
        """Marks what was imported, and takes all that is the original's; returns what it was."""
        where = at("instances", names.restored(names.instance(spare)))
        made, etag = await self._client.get_with_etag(where)
        marks = {
            names.SPARE: original,
            names.ADDRESS: spare,
            names.STATE: names.CREATING,
            names.PROTECTED: "false",
        }
        body = {
            "architecture": made["architecture"],
            "config": apart.config(made) | marks,
            "devices": apart.devices(made),
            "profiles": [],
            "ephemeral": False,
            "description": f"A restored backup of {original} (Phoenix, {self._place.stack})",
        }
        await self._client.send("PUT", where, body, etag=etag)
        return cast("Mapping[str, Any]", made)

    async def _restored(self) -> dict[Address, list[tuple[str, str]]]:
        """The volumes that were restored for spare guests, each by its pool and name.

        By their mark, or by the name of an import.
        """
        found: dict[Address, list[tuple[str, str]]] = {}
        for pool, one in await self._volumes.listed():
            told = Address(one["config"].get(names.ADDRESS, ""))
            spare = told if names.SPARE in one["config"] else names.restored_for(one["name"])
            if spare is not None:
                found.setdefault(spare, []).append((pool, one["name"]))
        return found

    async def _own(self, name: str) -> Mapping[str, Any]:
        now: Mapping[str, Any] = await self._client.get(at("instances", name))
        if now["config"].get(names.STACK) != self._place.stack:
            raise Conflict(f"{name} does not belong to this stack: left alone")
        return now

    @contextlib.asynccontextmanager
    async def _quiet(
        self, guest: Guest, job: BackupJob, now: Mapping[str, Any], tell: Tell
    ) -> AsyncIterator[None]:
        """Stops or pauses a guest that runs, as the job says, and lets it go on afterwards."""
        if job.mode == "snapshot" or now["status"] != "Running":
            yield
        elif job.mode == "stop":
            await self._guests.stop(guest.address, tell)
            try:
                yield
            finally:
                await self._guests.start(guest, tell)
        else:
            tell("pausing")
            await self._power(guest.address, "freeze")
            try:
                yield
            finally:
                tell("going on")
                await self._power(guest.address, "unfreeze")

    async def _power(self, address: Address, action: str) -> None:
        body = {"action": action, "timeout": _POWER_S, "force": False, "stateful": False}
        where = at("instances", names.instance(address), "state")
        await self._client.send("PUT", where, body)

    async def _export(
        self, address: Address, now: Mapping[str, Any], compress: str, part: Path, tell: Tell
    ) -> dict[str, str]:
        """Writes the files; returns their names, each with its SHA-256."""
        tell("exporting the root disk")
        ending = _ENDINGS[compress]
        where = at("instances", names.instance(address), "backups")
        files = {
            _INSTANCE + ending: await self._fetch(where, compress, part / (_INSTANCE + ending))
        }
        for pool, volume in snapshots.places(now):
            name = _device_of(now, volume) + ending
            tell(f"exporting the volume {volume}")
            where = at("storage-pools", pool, "volumes", "custom", volume, "backups")
            files[name] = await self._fetch(where, compress, part / name)
        return files

    async def _fetch(self, where: str, compress: str, target: Path) -> str:
        now = datetime.now(UTC)
        name = f"phoenix-{now:%Y%m%d%H%M%S}"
        kind = "instance_only" if where.startswith("/1.0/instances/") else "volume_only"
        body = {
            "name": name,
            kind: True,
            "optimized_storage": False,
            "compression_algorithm": compress,
            # Incus removes what a killed run leaves in its own store.
            "expires_at": (now + timedelta(days=1)).isoformat(),
        }
        try:
            await self._client.send("POST", where, body, limit_s=_LIMIT_S)
            return await self._client.download(f"{where}/{name}/export", target)
        finally:
            with contextlib.suppress(NotFound, Locked):  # where it is still being made
                await self._client.send("DELETE", f"{where}/{name}", limit_s=_LIMIT_S)


def _device_of(now: Mapping[str, Any], volume: str) -> str:
    devices: Devices = now["devices"]
    return next(name for name, one in devices.items() if one.get("source") == volume)
