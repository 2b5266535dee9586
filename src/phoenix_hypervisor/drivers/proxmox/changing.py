"""Brings a guest that is there to what the files say: node, disks, keys, raw lines, filter, HA.

Every part looks at the guest anew and writes with PVE's digest, so that it may be run again after
it was broken off anywhere.
"""

from collections.abc import Collection
from typing import Any

from phoenix_hypervisor.drivers.proxmox import (
    cluster,
    container,
    edits,
    firewall,
    ha,
    idmaps,
    kinds,
    state,
)
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.node import folders, guest_file
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.property import flag, parse, size_gb
from phoenix_hypervisor.drivers.proxmox.seeds import Seeds
from phoenix_hypervisor.drivers.proxmox.state import State, url
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest, Mount
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, DriverError
from phoenix_hypervisor.model.id_maps import on_host

_MOVE_S = 3600.0


class Changing:
    """The writes to the guests of one stack."""

    def __init__(self, api: Api, channels: Channels, seeds: Seeds, stack: str) -> None:
        self._api = api
        self._channels = channels
        self._seeds = seeds
        self._stack = stack

    async def bring(self, guest: Guest, paths: Collection[str] | None, tell: Tell) -> State:
        """Makes the guest as wanted, as far as these fields go (None: all); returns it anew."""
        now = await self.own(guest.address)
        if guest.node is not None and guest.node != now.node and _asks(paths, "node"):
            now = await self._migrate(now, guest.node, tell)
        now = await self._disks(guest, now, paths, tell)
        now = await self._keys(guest, now, paths, tell)
        if guest.kind == "lxc" and _asks(paths, "raw", "apparmor_profile"):
            await self._raw(guest, now)
        # Where it was moved to, the storage lacks its documents, and it could not start again.
        if guest.kind == "vm" and _asks(paths, "cloud_init", "network", "name", "node"):
            await self.seed(guest)
        if _asks(paths, "firewall"):
            await firewall.write(self._api, now.node, guest.address, guest.firewall)
        if _asks(paths, "ha") and (guest.ha is not None or "ha" in now.notes.asked):
            await ha.write(self._api, guest.address, guest.ha)
        return await self._noted(guest)

    async def own(self, address: Address) -> State:
        """The guest now, wherever it is. Raises `Conflict` for one of another stack."""
        now = await self.read(address)
        if now.stack != self._stack:
            raise Conflict(f"{address} does not belong to the stack {self._stack}: left alone")
        return now

    async def read(self, address: Address) -> State:
        """Any guest now."""
        return await state.read(self._api, await cluster.find(self._api, address))

    async def write(self, now: State, keys: container.Keys, why: str = "") -> None:
        """Writes keys (None: deletes them) with the guest's digest; with `why` as root."""
        gone = ",".join(key for key, value in keys.items() if value is None) or None
        given: dict[str, Any] = {key: value for key, value in keys.items() if value is not None}
        where = url(now.node, now.address, "config")
        if why and not self._api.is_root:
            channel = self._channels.of(now.node)
            await channel.api("PUT", where, why, digest=now.digest, delete=gone, **given)
        else:
            await self._api.run("PUT", where, digest=now.digest, delete=gone, **given)

    async def _keys(
        self, guest: Guest, now: State, paths: Collection[str] | None, tell: Tell
    ) -> State:
        todo = edits.between(guest, now, paths)
        if guest.kind == "lxc" and guest.mounts and _asks(paths, "mounts"):
            await self._folders(guest, now, tell)
        if not edits.of_mounts(todo) or not kinds.is_container(now):
            return await self._edit(now, todo, tell)
        # PVE changes no mount of a protected container: it is free meanwhile.
        is_protected = flag(todo.plain.pop("protection", now.config.get("protection")))
        if flag(now.config.get("protection")):
            tell("taking its protection off for its mounts")
            now = await self.free(now)
        try:
            await self._edit(now, todo, tell)
        finally:
            if is_protected:
                await self.write(await self.own(guest.address), {"protection": "1"})
        return await self.own(guest.address)

    async def free(self, now: State) -> State:
        """Takes a guest's protection off; the guest anew."""
        await self.write(now, {"protection": "0"})
        return await self.read(now.address)

    async def _edit(self, now: State, todo: edits.Edits, tell: Tell) -> State:
        lost = edits.volumes_of(
            now.config, [key for key, value in todo.plain.items() if value is None]
        )
        if todo.plain:
            tell("writing " + ", ".join(todo.plain))
            await self.write(now, todo.plain)
            now = await self.own(now.address)
        if todo.root:
            tell("writing " + ", ".join(todo.root) + " as root")
            why = f"{', '.join(sorted(todo.root))} of {now.address}, which no token may write"
            await self.write(now, todo.root, why)
            now = await self.own(now.address)
        if freed := edits.freed(now, lost):
            tell("destroying the volumes that were taken off")
            await self.write(now, dict.fromkeys(freed))
            now = await self.own(now.address)
        return now

    async def seed(self, guest: Guest) -> None:
        """Writes a machine's documents on its node, and has PVE make the drive anew: it stays."""
        now = await self.own(guest.address)
        if guest.address in self._seeds.unseeded or now.is_template:
            return
        keys = await self._seeds.write(guest, now)
        there = {key: now.config.get(key) for key in keys}
        todo = {key: value for key, value in keys.items() if value != there[key]}
        if todo:
            await self.write(now, todo)
        await self._api.run("PUT", url(now.node, now.address, "cloudinit"))

    async def _folders(self, guest: Guest, now: State, tell: Tell) -> None:
        """Makes the folders that it mounts, where they are missing, with owners that it can use."""
        wanted = [_folder(guest, mount) for mount in guest.mounts]
        for line in await folders.ensure(self._channels.of(now.node), wanted):
            tell(line)

    async def _noted(self, guest: Guest) -> State:
        """Writes the notes where they don't say what is asked for now."""
        now = await self.own(guest.address)
        notes = edits.notes(guest, now, self._stack)
        text = notes.write(now.vmid)
        if text != str(now.config.get("description") or "").rstrip("\n"):
            await self.write(now, {"description": text})
            now = await self.own(guest.address)
        return now

    async def _disks(
        self, guest: Guest, now: State, paths: Collection[str] | None, tell: Tell
    ) -> State:
        """Moves disks to another storage, and grows them: they never shrink."""
        for key, pool, size in _wanted_disks(guest, now, paths):
            parts = parse(str(now.config.get(key, "")), "volume")
            there = parts.get("volume", "").partition(":")[0]
            if pool is not None and there and there != pool:
                tell(f"moving {key} from {there} to {pool}")
                await self._move(now, key, pool, tell)
                now = await self.own(guest.address)  # the digest is another one now
            has = size_gb(parts.get("size"))
            if size is not None and has is not None and size > has:
                tell(f"growing {key} from {has} to {size} GiB")
                where = url(now.node, now.address, "resize")
                await self._api.run("PUT", where, tell, disk=key, size=f"{size}G")
        return await self.own(guest.address)

    async def _move(self, now: State, key: str, pool: str, tell: Tell) -> None:
        if kinds.is_container(now):
            where, word = url(now.node, now.address, "move_volume"), {"volume": key}
        else:
            where, word = url(now.node, now.address, "move_disk"), {"disk": key}
        await self._api.run(
            "POST", where, tell, _MOVE_S, storage=pool, delete=True, digest=now.digest, **word
        )

    async def _migrate(self, now: State, node: str, tell: Tell) -> State:
        tell(f"moving it from {now.node} to {node}")
        running = (await self._api.get(url(now.node, now.address, "status", "current"))).get(
            "status"
        ) == "running"
        if kinds.is_container(now):
            options = {"restart": True} if running else {}
        else:
            options = {"online": running, "with-local-disks": True}
        where = url(now.node, now.address, "migrate")
        await self._api.run("POST", where, tell, _MOVE_S, target=node, **options)
        return await self.own(now.address)

    async def _raw(self, guest: Guest, now: State) -> None:
        wanted = container.raw(guest)
        if not wanted and "raw" not in now.notes.asked:
            return
        there = container.raw_pairs((await state.with_raw(self._api, now)).config)
        if tuple(there) == wanted:
            return
        channel = self._channels.of(now.node)
        why = f"raw LXC options of {guest.address}"
        if guest.id_maps:
            script = idmaps.delegate(guest.id_maps)
            answer = await channel.run(script, f"ids that root may map for {guest.address}")
            if not answer.ok:
                raise DriverError(f"{guest.address}: its id_maps: {answer.words()}")
        await guest_file.set_raw(channel, now.vmid, wanted, why)


def _folder(guest: Guest, mount: Mount) -> folders.Folder:
    """With id maps, the owner is told in the node's own ids."""
    uid, gid, shifted = mount.owner_uid, mount.owner_gid, guest.unprivileged
    if guest.id_maps and shifted:
        uid = on_host(guest.id_maps, "uid", uid or 0)
        gid = on_host(guest.id_maps, "gid", gid or 0)
        if mount.owner_uid is None and mount.owner_gid is None:
            return folders.Folder(mount.source, shifted=True)
        shifted = False
    return folders.Folder(mount.source, uid, gid, shifted)


def _asks(paths: Collection[str] | None, *groups: str) -> bool:
    return paths is None or any(path.partition(".")[0] in groups for path in paths)


def _wanted_disks(
    guest: Guest, now: State, paths: Collection[str] | None
) -> list[tuple[str, str | None, int | None]]:
    """Key, storage and size of the disks whose place or size may have changed."""
    found: list[tuple[str, str | None, int | None]] = []
    if _asks(paths, "pool", "disk_gb"):
        root = kinds.root_disk(now)
        found += [(root, guest.pool, guest.disk_gb)] if root else []
    if guest.kind == "lxc" and _asks(paths, "volumes"):
        keys = container.volume_keys(guest, now.config, now.notes)
        found += [
            (keys[volume.name], volume.pool or guest.pool, volume.size_gb)
            for volume in guest.volumes
            if volume.name in keys
        ]
    return found
