"""Backups on Proxmox VE: vzdump takes them, and a restored one is a guest that is cut off.

Where a guest lies is decided when it is restored: each volume on the storage that it had, cards
with their link down, no folder of the node. So it never starts with a way to anybody.

Source: the Proxmox VE API documentation, `/nodes/{node}/vzdump`, `/nodes/{node}/lxc` and
`/nodes/{node}/qemu` (restore), `/nodes/{node}/storage/{storage}/content`; vzdump(1).
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from phoenix_hypervisor.drivers.proxmox import agent, apart, cluster, kinds, state
from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.api.texts import NoGuest
from phoenix_hypervisor.drivers.proxmox.changing import Changing
from phoenix_hypervisor.drivers.proxmox.cluster import Cluster
from phoenix_hypervisor.drivers.proxmox.guests import Guests
from phoenix_hypervisor.drivers.proxmox.inside import Inside
from phoenix_hypervisor.drivers.proxmox.marks import Notes, Tags
from phoenix_hypervisor.drivers.proxmox.node import guest_file
from phoenix_hypervisor.drivers.proxmox.property import flag, parse
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.backup import Backup, RunInside
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    Conflict,
    DriverError,
    NotFound,
    TimedOut,
    Unsupported,
)
from phoenix_hypervisor.model.host.backups import COMPRESS, BackupJob
from phoenix_hypervisor.model.host.backups import Backups as Wanted

_LIMIT_S = 12 * 3600.0
_SPARE = "phoenix-spare"
_OFF = {"onboot": False, "protection": False}


@dataclass(frozen=True, slots=True)
class Backups:
    """The backups in the storages that the jobs name."""

    api: Api
    changing: Changing
    guests: Guests
    inside: Inside
    stack: str
    wanted: Wanted

    async def listed(self) -> Sequence[Backup]:
        """Of every guest; a storage that all nodes share is asked once."""
        seen = await cluster.look(self.api)
        names = {job.storage for job in self.wanted.jobs if job.storage is not None}
        found: dict[str, Backup] = {}
        for name in sorted(names):
            stores = [one for one in seen.storages if one.name == name and one.active]
            if not stores:
                raise NotFound(f"there is no storage {name} for backups, or it is not active")
            for store in stores[:1] if stores[0].shared else stores:
                where = path("nodes", store.node, "storage", name, "content")
                for row in await self.api.get(where, content="backup"):
                    one = _backup(row, f"{store.node}/{name}")
                    if one is not None:
                        found.setdefault(one.id, one)  # it holds the guest's id and the time
        return sorted(found.values(), key=lambda one: one.taken)

    async def take(self, guest: Guest, job: BackupJob, tell: Tell) -> Sequence[Backup]:
        """Has vzdump back it up, which also drops what the job no longer keeps."""
        if job.storage is None:
            raise DriverError(
                f"the job {job.name} does not say where its backups go",
                hint='add a job with "storage": "…" to `backups`',
            )
        now = await self.changing.own(guest.address)
        before = await self._of(guest.address, job.storage)
        params: dict[str, Any] = {"notes-template": job.notes} if job.notes else {}
        if job.keep:
            params["prune-backups"] = job.keep.pruning()
        tell(f"vzdump to {job.storage}")
        await self.api.run(
            "POST",
            path("nodes", now.node, "vzdump"),
            tell,
            _LIMIT_S,
            vmid=str(guest.id),
            storage=job.storage,
            mode=job.mode,
            compress=COMPRESS[job.compress],
            **params,
        )
        after = await self._of(guest.address, job.storage)
        known = {one.id for one in before}
        made = [one for one in after if one.id not in known]
        if not made:
            raise DriverError(f"{guest.address}: vzdump ended well, but no backup is there")
        left = {one.id for one in after}
        return [made[-1], *(one for one in before if one.id not in left)]

    async def restore(self, backup: Backup, guest: Guest, spare: Address, tell: Tell) -> None:
        """Raises `Unsupported` for a template, which nobody can start."""
        seen = await cluster.look(self.api)
        if await cluster.is_taken(self.api, spare):
            raise Conflict(
                f"the id {addresses.ident(spare)} is taken, by a guest out of sight",
                hint="choose another `spare_id`",
            )
        node, _, storage = backup.place.partition("/")
        node = self._node(guest, seen, node, storage)
        config = _read(
            str(
                await self.api.get(path("nodes", node, "vzdump", "extractconfig"), volume=backup.id)
            )
        )
        if flag(config.get("template")):
            raise Unsupported(
                f"{guest.address}: its backup is one of a template, which can't be started",
                hint="the first clone of it proves it",
            )
        vmid = int(addresses.ident(spare))
        tags = Tags(self.stack, complete=False, others=(f"{_SPARE}.{guest.id}",))
        told = f"A restored backup of {guest.address}, which Phoenix checks and then removes."
        if guest.kind == "lxc":
            where = path("nodes", node, "lxc")
            given: dict[str, Any] = {
                "ostemplate": backup.id,
                "restore": True,
                **apart.given(config),
            }
        else:
            where, given = path("nodes", node, "qemu"), {"archive": backup.id, "unique": True}
        tell(f"restoring {backup.id}")
        await self.api.run(
            "POST",
            where,
            tell,
            _LIMIT_S,
            vmid=vmid,
            tags=tags.write(vmid),
            description=Notes(told, stack=self.stack, making=True).write(vmid),
            **_OFF,
            **given,
        )
        await self._set_apart(spare, tell)

    async def start(self, guest: Guest, spare: Address, tell: Tell) -> None:
        """Without waiting for an address: its cards are not plugged in."""
        try:
            now = await self.guests.start(spare, tell)
        except DriverError as error:
            if gone := await self._missing_snippets(spare):
                raise NotFound(
                    f"{error.message}: its cloud-init names {', '.join(gone)}, which Proxmox VE "
                    "does not show, and no backup holds",
                    hint="the backup itself may be whole. Is the guest another one by now? Then a "
                    "new backup goes with its documents. (A login sees them by Datastore.Allocate)",
                    detail=error.detail,
                ) from error
            raise
        if guest.kind == "vm":
            if guest.agent:
                await agent.ready(self.api, now, tell)
            return
        await self.inside.ready(replace(guest, address=spare, nics=()), now, tell)

    def inside_of(self, spare: Address) -> RunInside | None:
        """By the guest agent of a virtual machine, which needs no network."""
        if addresses.kind(spare) != "vm":
            return None

        async def run(script: str, timeout_s: float, stdin: bytes) -> Said:
            now = await self.changing.own(spare)
            return await agent.run(self.api, now, script, timeout_s, stdin)

        return run

    async def discard(self, spare: Address, tell: Tell) -> None:
        """Removes it, if it is a spare one. A restore that is still under way is waited for."""
        await self._settled(spare, tell)
        try:
            now = await self.changing.own(spare)
        except NoGuest:
            return
        if not any(tag.startswith(f"{_SPARE}.") for tag in now.tags.others):
            raise Conflict(f"{spare} is no restored backup: it is left alone")
        tell(f"removing {spare}")
        await self.guests.delete(spare, tell)

    async def spares(self) -> Sequence[Address]:
        """By their tags."""
        seen = await cluster.look(self.api)
        found = []
        for one in seen.guests.values():
            tags = Tags.read(one.tags, one.vmid)
            is_spare = any(tag.startswith(f"{_SPARE}.") for tag in tags.others)
            if is_spare and tags.stack == self.stack:
                found.append(one.address)
        return found

    async def _set_apart(self, spare: Address, tell: Tell) -> None:
        """Takes off what leads to somebody else. Raises `Conflict` where something stays.

        What root@pam restores has raw options of LXC too, which only its file can lose.
        """
        now = await self._whole(spare)
        if not kinds.is_container(now) and (down := apart.unplugged(now.config)):
            await self.changing.write(now, dict(down))
            now = await self._whole(spare)
        gone, lines = self._foreign(now), apart.foreign_lines(now.config)
        if gone or lines:
            tell(f"it goes without {', '.join([*gone, *lines])}")
        plain = [key for key in gone if not apart.by_root(key)]
        rooted = [key for key in gone if apart.by_root(key)]
        why = f"what {spare}, a restored backup, may not keep"
        channel = self.guests.channels.of(now.node)
        if rooted or lines:
            await channel.run("true", why)  # without a way in, that is what is told
        for keys, as_root in ((plain, ""), (rooted, why)):
            if keys:
                await self.changing.write(now, dict.fromkeys(keys), as_root)
                now = await self._whole(spare)
        if lines:
            await guest_file.set_raw(channel, now.vmid, apart.own_lines(now.config), why)
        now = await self._whole(spare)
        if left := [*self._foreign(now), *apart.foreign_lines(now.config)]:
            raise Conflict(
                f"{spare} can't be cut off, so that it is not started: {', '.join(left)} could not "
                "be taken off"
            )

    async def _whole(self, spare: Address) -> State:
        """With the raw options of LXC."""
        now = await self.changing.own(spare)
        return await state.with_raw(self.api, now) if kinds.is_container(now) else now

    async def _missing_snippets(self, spare: Address) -> list[str]:
        """Documents that its cloud-init names and its node does not show."""
        now = await self.changing.own(spare)
        named = sorted(parse(str(now.config.get("cicustom") or "")).values())
        shown: set[str] = set()
        for storage in sorted({one.partition(":")[0] for one in named}):
            where = path("nodes", now.node, "storage", storage, "content")
            with contextlib.suppress(DriverError):  # the storage is gone as well
                shown |= {one["volid"] for one in await self.api.get(where, content="snippets")}
        return [one for one in named if one not in shown]

    def _foreign(self, now: State) -> list[str]:
        return apart.foreign(now.config, now.vmid, is_container=kinds.is_container(now))

    async def _settled(self, spare: Address, tell: Tell) -> None:
        """A task goes on in Proxmox VE when whoever began it is interrupted."""
        vmid = int(addresses.ident(spare))
        listed = (await cluster.look(self.api)).at(vmid)
        for task in await self.api.active(listed.node, vmid) if listed is not None else ():
            tell(f"waiting for the end of {task}")
            with contextlib.suppress(DriverError, TimedOut):  # what is there is looked at next
                await self.api.wait(task.upid, tell, _LIMIT_S)

    async def _of(self, guest: Address, storage: str) -> list[Backup]:
        alone = replace(self, wanted=Wanted(jobs=(BackupJob("one", storage=storage),)))
        return [one for one in await alone.listed() if one.guest == guest]

    def _node(self, guest: Guest, seen: Cluster, node: str, storage: str) -> str:
        """Where to restore: beside the guest where its backup can be read there."""
        there = seen.guests.get(guest.address)
        if there is not None and seen.storage(storage, there.node) is not None:
            store = seen.storage(storage, there.node)
            if store is not None and store.shared:
                return there.node
        return node


def _backup(row: Mapping[str, Any], place: str) -> Backup | None:
    """From a row of a storage's content; None where it is of no guest."""
    if row.get("vmid") is None:
        return None
    volid = str(row["volid"])
    is_machine = row.get("subtype") == "qemu" or "qemu" in volid or "backup/vm/" in volid
    kind = addresses.vm if is_machine else addresses.lxc
    return Backup(
        id=volid,
        guest=kind(int(row["vmid"])),
        taken=datetime.fromtimestamp(int(row.get("ctime") or 0), UTC),
        place=place,
        size=int(row["size"]) if row.get("size") else None,
        protected=str(row.get("protected", 0)) == "1",
    )


def _read(config: str) -> dict[str, str]:
    """A guest's configuration file, without its snapshots, notes and raw lines of LXC."""
    found: dict[str, str] = {}
    for line in config.splitlines():
        if line.startswith("["):
            break
        key, colon, value = line.partition(":")
        if colon and not key.startswith(("#", "lxc.")):
            found[key.strip()] = value.strip()
    return found
