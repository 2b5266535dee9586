"""Snapshots of guests on Proxmox VE: taken, told, gone back to, deleted.

A snapshot holds a guest's disks and volumes, its settings and its tags; the notes stay as they
are. Bind mounts, with which Proxmox VE takes none, are set aside meanwhile, and are there again
afterwards. Where the storage can't, a guest at rest stands for its own snapshot in the notes.

Source: the Proxmox VE API documentation, `/nodes/{node}/lxc/{vmid}/snapshot`; of storages that only
go back to the newest, PVE::Storage::ZFSPoolPlugin and LVMPlugin (volume_rollback_is_possible).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from phoenix_hypervisor.drivers import going_back
from phoenix_hypervisor.drivers.proxmox import cluster, container, kinds
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.changing import Changing
from phoenix_hypervisor.drivers.proxmox.marks import Tags
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.node.guest_file import Aside
from phoenix_hypervisor.drivers.proxmox.state import State, url
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, DriverError, NotFound, Unsupported
from phoenix_hypervisor.model.snapshot import Taken

_LIMIT_S = 900.0
_ORDERED = ("zfspool", "lvm")
_DISK = re.compile(r"(rootfs|(mp|ide|sata|scsi|virtio|efidisk|tpmstate)\d+)")


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The snapshots of the guests that bear the stack's mark."""

    api: Api
    channels: Channels
    changing: Changing
    stack: str

    async def take(self, address: Address, name: str, tell: Tell, *, stand_in: bool) -> None:
        """Takes one; one of the same name goes first.

        Where the storage can't (a container on plain folders), the guest itself, which rests,
        stands for it: the notes say so, and clones are made from its current state. Without
        `stand_in` that raises `Unsupported`.
        """
        now = await self.changing.own(address)
        async with self._aside(now, "a snapshot"):
            where = url(now.node, address, "feature")
            can = (await self.api.get(where, feature="snapshot")).get("hasFeature")
            if can:
                await self._remove(now, name, tell)
                tell(f"taking the snapshot {name}")
                where = url(now.node, address, "snapshot")
                await self.api.run("POST", where, tell, _LIMIT_S, snapname=name)
        if not can and not stand_in:
            raise Unsupported(
                f"{address}: its storage can't take snapshots",
                hint="put its disks on ZFS, LVM-thin or btrfs",
            )
        if not can:
            await self._freeze(address, name, tell)

    async def listed(self, address: Address) -> Sequence[Taken]:
        """All of a guest, the oldest first."""
        now = await self.changing.read(address)
        rows = await self._rows(now)
        whole = await cluster.look(self.api) if rows else None
        tags: dict[str, Tags] = {}
        for row in rows:
            where = url(now.node, address, "snapshot", row["name"], "config")
            told = (await self.api.get(where)).get("tags")
            tags[str(row["name"])] = Tags.read(str(told or ""), now.vmid)
        found = {whole.storage(name, now.node) for name in storages(now.config)} if whole else ()
        ordered = any(one.kind in _ORDERED for one in found if one is not None)
        frozen = [
            Taken(name, stack=now.stack, fingerprint=told or None, whole=False)
            for name, told in now.notes.frozen.items()
        ]
        return [*frozen, *read(rows, tags, ordered=ordered)]

    async def rollback(self, address: Address, name: str, tell: Tell) -> None:
        """Brings a guest that rests back. One whose snapshot holds its memory runs afterwards."""
        now = await self.changing.own(address)
        if name in now.notes.frozen:
            raise Unsupported(
                f"{address}: its storage can't take snapshots; for {name} it stands itself",
                hint="there is nothing to go back to",
            )
        going_back.choose(await self.listed(address), address, name)
        status = await self.api.get(url(now.node, address, "status", "current"))
        if status.get("status") != "stopped":
            raise Conflict(f"{address} runs: it must rest to go back")
        # Whatever happens from here on, the next plan knows that the inside is not as it was.
        await self._tag(now, Tags(self.stack, now.tags.complete, None, now.tags.others))
        now = await self.changing.own(address)
        tell(f"going back to the snapshot {name}")
        async with self._aside(now, "going back to a snapshot"):
            where = url(now.node, address, "snapshot", name, "rollback")
            await self.api.run("POST", where, tell, _LIMIT_S)
        after = await self.changing.own(address)
        if after.tags.stack is None:  # taken before the guest was taken over
            await self._tag(after, Tags(self.stack, complete=True, others=after.tags.others))

    async def delete(self, address: Address, name: str, tell: Tell) -> None:
        """Deletes one. Raises `NotFound`."""
        now = await self.changing.own(address)
        if name in now.notes.frozen:
            kept = {key: value for key, value in now.notes.frozen.items() if key != name}
            notes = replace(now.notes, frozen=kept)
            await self.changing.write(now, {"description": notes.write(now.vmid)})
        elif not await self._remove(now, name, tell):
            raise NotFound(f"{address} has no snapshot {name}")

    async def _rows(self, now: State) -> list[Mapping[str, Any]]:
        rows = await self.api.get(url(now.node, now.address, "snapshot"))
        return [row for row in rows if row["name"] != "current"]

    async def _remove(self, now: State, name: str, tell: Tell) -> bool:
        if name not in [str(row["name"]) for row in await self._rows(now)]:
            return False
        tell(f"deleting the snapshot {name}")
        where = url(now.node, now.address, "snapshot", name)
        await self.api.run("DELETE", where, tell, _LIMIT_S)
        return True

    async def _freeze(self, address: Address, name: str, tell: Tell) -> None:
        now = await self.changing.own(address)
        status = await self.api.get(url(now.node, address, "status", "current"))
        if status.get("status") == "running":
            raise DriverError(
                f"{address}: its storage can't take snapshots, and it runs",
                hint="put its disk on ZFS, LVM-thin or btrfs",
            )
        tell("its storage can't take snapshots: it rests, and stands for itself")
        frozen = {**now.notes.frozen, name: now.tags.fingerprint or ""}
        notes = replace(now.notes, frozen=frozen)
        await self.changing.write(now, {"description": notes.write(now.vmid)})

    def _aside(self, now: State, what: str) -> Aside:
        binds = kinds.is_container(now) and bool(container.bind_keys(now.config))
        why = f"{what} of {now.address} with bind mounts"
        return Aside(self.channels.of(now.node), now.vmid, binds, why)

    async def _tag(self, now: State, tags: Tags) -> None:
        text = tags.write(now.vmid)
        if text != str(now.config.get("tags") or ""):
            await self.changing.write(now, {"tags": text})


def read(
    rows: Iterable[Mapping[str, Any]], tags: Mapping[str, Tags], *, ordered: bool
) -> list[Taken]:
    """From PVE's list and the tags of each. `ordered`: the storage goes back to the newest only."""
    rows = list(rows)
    parents = {str(row["name"]): row.get("parent") for row in rows}
    # PVE tells whole seconds: within one the parent is the older.
    rows.sort(key=lambda row: (int(row.get("snaptime") or 0), _depth(str(row["name"]), parents)))
    found: list[Taken] = []
    for position, row in enumerate(rows):
        name, when = str(row["name"]), int(row.get("snaptime") or 0)
        newer = [str(one["name"]) for one in reversed(rows[position + 1 :])] if ordered else []
        own = tags[name]
        found.append(
            Taken(
                name=name,
                taken=datetime.fromtimestamp(when, UTC) if when else None,
                stack=own.stack,
                fingerprint=own.fingerprint,
                whole=not row.get("snapstate") and (own.complete or own.stack is None),
                above=tuple(newer),
            )
        )
    return found


def storages(config: Mapping[str, object]) -> set[str]:
    """The storages that a guest's disks and volumes lie on."""
    disks = (str(value) for key, value in config.items() if _DISK.fullmatch(key))
    names = (disk.partition(",")[0].removeprefix("volume=") for disk in disks)
    return {name.partition(":")[0] for name in names if ":" in name and not name.startswith("/")}


def _depth(name: str, parents: Mapping[str, Any]) -> int:
    """How many snapshots, one before the other, come before this one."""
    seen: list[str] = []
    at: Any = parents.get(name)
    while at in parents and at not in seen:
        seen.append(at)
        at = parents[at]
    return len(seen)
