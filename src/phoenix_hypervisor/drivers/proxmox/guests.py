"""Power, marks and removal of one stack's guests."""

import asyncio
from dataclasses import dataclass, replace

from phoenix_hypervisor.drivers.proxmox import cluster, edits, ha, kinds, state, uvm
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.texts import NoGuest
from phoenix_hypervisor.drivers.proxmox.changing import Changing
from phoenix_hypervisor.drivers.proxmox.marks import Tags
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.node.guest_file import forget
from phoenix_hypervisor.drivers.proxmox.property import flag
from phoenix_hypervisor.drivers.proxmox.seeds import Seeds
from phoenix_hypervisor.drivers.proxmox.state import State, url
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Retryable,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)

_SHUTDOWN_S = 90
_STOP_S = 120.0
_POLL_S = 0.5
_DELETE_S = 600.0


@dataclass(frozen=True, slots=True)
class Guests:
    """The guests that bear the stack's mark."""

    api: Api
    channels: Channels
    changing: Changing
    seeds: Seeds
    stack: str

    async def start(self, address: Address, tell: Tell) -> State:
        """Starts it, where it doesn't run yet."""
        now = await self.changing.own(address)
        if not await self.runs(now):
            tell("starting")
            await uvm.ensure(self.channels, now, tell)
            try:
                await self.api.run("POST", url(now.node, address, "status", "start"), tell, 300.0)
            except Conflict:  # somebody was faster
                if not await self.runs(now):
                    raise
            await self._until(now, running=True)
        return now

    async def stop(self, address: Address, tell: Tell, limit_s: float | None = None) -> None:
        """Shuts down; a guest that has not stopped in time, hard."""
        now = await self.changing.own(address)
        if not await self.runs(now):
            return
        tell("shutting down")
        where = url(now.node, address, "status", "shutdown")
        try:
            await self.api.run("POST", where, tell, _STOP_S, timeout=round(limit_s or _SHUTDOWN_S))
            await self._until(now, running=False)
        except (DriverError, TimedOut) as error:
            if not await self.runs(now):
                return
            if isinstance(error, (Conflict, Denied, Retryable, UnknownOutcome, Unreachable)):
                raise  # locked, or an answer that was lost: it may well be shutting down
            tell(f"it did not shut down ({error}): stopping hard")
            await self._stop_hard(now, tell)

    async def _stop_hard(self, now: State, tell: Tell) -> None:
        where = url(now.node, now.address, "status", "stop")
        try:
            await self.api.run("POST", where, tell, _STOP_S)
        except Conflict:  # it stopped by itself just now
            if await self.runs(now):
                raise
        await self._until(now, running=False)

    async def _until(self, now: State, *, running: bool) -> None:
        """Waits until it is so: the task of a guest under the HA manager only hands the wish on."""
        clock = asyncio.get_running_loop().time
        end = clock() + _STOP_S
        while await self.runs(now) is not running:
            if clock() > end:
                word = "start" if running else "stop"
                raise TimedOut(f"{now.address} did not {word} within {_STOP_S:.0f} s")
            await asyncio.sleep(_POLL_S)

    async def delete(self, address: Address, tell: Tell, *, for_good: bool = True) -> None:
        """Removes it with its disks; one that is gone already is no error, one out of sight is.

        `for_good`: no other comes in its place.
        """
        try:
            now = await self.changing.own(address)
        except NoGuest:
            if not await cluster.is_taken(self.api, address):
                return
            raise
        if flag(now.config.get("protection")):
            raise Conflict(
                f"{address} is protected",
                hint="set `protected` to false and apply before deleting it",
            )
        if await self.runs(now):
            tell("stopping hard")
            await self._stop_hard(now, tell)
        tell("deleting")
        if not for_good and "ha" in now.notes.asked:
            await ha.write(self.api, address, None)
        # Purged, it would also leave the jobs of backup and replication, which name its id.
        where = url(now.node, address)
        await self.api.run("DELETE", where, tell, _DELETE_S, purge=for_good)
        if not kinds.is_container(now):
            await self.seeds.forget(now)
        elif "mounts" in now.notes.asked:
            why = f"what a killed run may have set aside of {address}"
            await forget(self.channels.of(now.node), now.vmid, why)

    async def mark(self, address: Address, fingerprint: str | None) -> None:
        """Records what is configured inside, in a tag: a rollback takes it along."""
        now = await self.changing.own(address)
        tags = Tags(self.stack, now.tags.complete, fingerprint, now.tags.others)
        await self._tag(now, tags)

    async def adopt(self, guest: Guest) -> None:
        """Marks a guest that no stack owns; nothing else of it is changed."""
        now = await self.changing.read(guest.address)
        if now.stack not in (None, self.stack):
            raise Conflict(f"{guest.address} belongs to the stack {now.stack}: left alone")
        # What was asked for shows later what the files dropped; the text for people stays theirs.
        notes = replace(edits.notes(guest, now, self.stack), text=now.notes.text)
        tags = Tags(self.stack, complete=True, others=now.tags.others)
        await self.changing.write(
            now, {"tags": tags.write(now.vmid), "description": notes.write(now.vmid)}
        )

    async def runs(self, now: State) -> bool:
        """Whether it runs, asked now."""
        told = await self.api.get(url(now.node, now.address, "status", "current"))
        return bool(told.get("status") == "running")

    async def find(self, address: Address) -> State:
        """Any guest, wherever it is."""
        return await state.read(self.api, await cluster.find(self.api, address))

    async def _tag(self, now: State, tags: Tags) -> None:
        text = tags.write(now.vmid)
        if text != str(now.config.get("tags") or ""):
            await self.changing.write(now, {"tags": text})
