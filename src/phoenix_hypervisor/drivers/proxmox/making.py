"""Makes guests: from a template, an image, or as a clone; and clears away what was half made."""

import asyncio
from dataclasses import dataclass, field

from phoenix_hypervisor.drivers.proxmox import cluster, container, kinds, machine, state, templates
from phoenix_hypervisor.drivers.proxmox.api.client import Api, Param, path
from phoenix_hypervisor.drivers.proxmox.changing import Changing
from phoenix_hypervisor.drivers.proxmox.cluster import Cluster, Listed
from phoenix_hypervisor.drivers.proxmox.marks import Notes, Tags
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.node.guest_file import Aside
from phoenix_hypervisor.drivers.proxmox.property import flag, parse
from phoenix_hypervisor.drivers.proxmox.state import State, url
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import CloneOf, Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, NotFound, UnknownOutcome

_MAKE_S = 3600.0
_LOOKS, _LOOK_PAUSE_S = 6, 1.0
_CLONING = ("vzclone", "qmclone")


@dataclass(frozen=True, slots=True)
class Making:
    """The making of one stack's guests; `node` is where those go that name none.

    `made` are those that this run made and has not brought to their end yet.
    """

    api: Api
    channels: Channels
    changing: Changing
    stack: str
    node: str
    made: set[Address] = field(default_factory=set)

    async def create(self, guest: Guest, tell: Tell) -> None:
        """Makes the guest, stopped, and marks it as complete at the very end."""
        # A try of this run that made it and was then held up by a lock, say, is gone on with.
        if guest.address not in self.made or not await self._is_half_made(guest.address):
            await self._make_anew(guest, tell)
        self.made.add(guest.address)
        await self._mark(guest.address, complete=False)
        now = await self.changing.bring(guest, None, tell)
        if machine.rests_as_template(guest) and not now.is_template:
            tell("making it a template")
            await self.api.run("POST", url(now.node, now.address, "template"), tell)
        await self._mark(guest.address, complete=True)
        self.made.discard(guest.address)

    async def _make_anew(self, guest: Guest, tell: Tell) -> None:
        await self._clear(guest, tell)
        try:
            await self._make(guest, tell)
        except Conflict:
            # An earlier try, killed just now, may still have had its request on the way.
            if not await self._is_half_made(guest.address):
                raise
            await self._clear(guest, tell)
            await self._make(guest, tell)

    async def _make(self, guest: Guest, tell: Tell) -> None:
        seen = await cluster.look(self.api)
        if isinstance(guest.source, CloneOf):
            await self._clone(guest, guest.source, seen, tell)
        elif guest.kind == "lxc":
            await self._from_template(guest, seen, tell)
        else:
            await self._from_image(guest, seen, tell)

    async def _from_template(self, guest: Guest, seen: Cluster, tell: Tell) -> None:
        node = guest.node or self.node
        volume = await templates.ensure(self.api, seen, guest, node, tell)
        keys = container.wanted(guest, {"unprivileged": int(guest.unprivileged)}, Notes())
        plain = {
            key: value
            for key, value in keys.items()
            if value is not None
            and key != "protection"  # mounts are still to come, and a later try could not clear it
            and not container.root_only(key, value, {}, unprivileged=guest.unprivileged)
        }
        tell(f"creating it on {node} from {volume}")
        await self._send(
            guest,
            path("nodes", node, "lxc"),
            tell,
            **plain,
            vmid=guest.id,
            ostemplate=volume,
            rootfs=_root(guest, seen, node),
            unprivileged=guest.unprivileged,
            tags=self._tags(complete=False).write(guest.id),
            description=self._making_note(guest),
        )

    async def _from_image(self, guest: Guest, seen: Cluster, tell: Tell) -> None:
        node = guest.node or self.node
        volume = await templates.ensure(self.api, seen, guest, node, tell)
        storage = _store(guest, seen, node, "images")
        keys = machine.wanted(guest, {})
        plain = {key: each for key, each in keys.items() if not machine.root_only(key, each, {})}
        tell(f"creating it on {node} from {volume}")
        await self._send(
            guest,
            path("nodes", node, "qemu"),
            tell,
            **plain,
            **machine.new_disk(guest, volume, storage),
            vmid=guest.id,
            tags=self._tags(complete=False).write(guest.id),
            description=self._making_note(guest),
        )

    async def _clone(self, guest: Guest, source: CloneOf, seen: Cluster, tell: Tell) -> None:
        listed = seen.guests.get(source.address)
        if listed is None:
            raise NotFound(f"{source.address}, which {guest.address} is cloned from, is not there")
        now = await state.read(self.api, listed)
        if now.stack == self.stack and not now.complete:
            raise Conflict(f"{source.address} is not complete: it can't be cloned")
        frozen = source.snapshot in now.notes.frozen
        snapshot = None if frozen or source.snapshot is None else source.snapshot
        full = not await self._can_link(guest, now, seen)
        target = guest.node if guest.node not in (None, now.node) else None
        tell(f"cloning {source.address}" + (f" at {snapshot}" if snapshot else ""))
        where = url(now.node, now.address, "clone")
        name = "hostname" if guest.kind == "lxc" else "name"
        binds = snapshot is None and bool(container.bind_keys(now.config))
        why = f"a clone of {source.address} with bind mounts"
        async with Aside(self.channels.of(now.node), now.vmid, binds, why):
            await self._send(  # its task holds the source's lock to the end
                guest,
                where,
                tell,
                newid=guest.id,
                snapname=snapshot,
                full=full,
                storage=guest.pool if full else None,
                target=target if _all_shared(seen, guest, now) else None,
                description=self._making_note(guest),
                **{name: guest.name},
            )

    async def _can_link(self, guest: Guest, source: State, seen: Cluster) -> bool:
        """Whether a linked clone can be had: of PVE's own templates only, which are made for that.

        Of others it binds its source for ever, and on btrfs PVE 9.2 gives the source's current
        state for a snapshot's, though `/feature` allows it.
        """
        disk = kinds.root_disk(source) or "rootfs"
        pool = parse(str(source.config.get(disk, "")), "volume").get("volume", "").partition(":")[0]
        stays = guest.pool in (None, pool) and guest.node in (None, source.node)
        if not (source.is_template and stays and seen.storage(pool, source.node)):
            return False
        told = await self.api.get(url(source.node, source.address, "feature"), feature="clone")
        return bool(told.get("hasFeature"))

    async def _send(self, guest: Guest, where: str, tell: Tell, **params: Param) -> None:
        """Has PVE make the guest, and waits for it.

        Where the answer was lost, it is looked whether the guest was made all the same: a good one
        is not thrown away. Raises `UnknownOutcome` where that can't be seen.
        """
        try:
            await self.api.run("POST", where, tell, _MAKE_S, **params)
        except UnknownOutcome:
            tell("the answer was lost: looking what is true")
            if not await self._was_made(guest, tell):
                raise

    async def _was_made(self, guest: Guest, tell: Tell) -> bool:
        address = guest.address
        for _ in range(_LOOKS):
            listed = await self._listed(address)
            if listed is not None and listed.address == address:
                await self._wait_for_tasks(guest, listed, tell)
                now = await self.changing.read(address)
                made = now.stack == self.stack and now.config.get("lock") is None
                return made and kinds.root_disk(now) in now.config
            await asyncio.sleep(_LOOK_PAUSE_S)
        return False

    async def _clear(self, guest: Guest, tell: Tell) -> None:
        """Removes what a broken-off making left. Raises `Conflict` for somebody else's guest."""
        address = guest.address
        listed = await self._listed(address)
        if listed is None:
            return
        await self._wait_for_tasks(guest, listed, tell)
        listed = await self._listed(address)
        if listed is None:
            return
        now = await state.read(self.api, listed)
        if listed.address != address or not await self._is_ours_unfinished(now):
            raise Conflict(
                f"the id of {address} is taken by {listed.address} “{listed.name}”, "
                "which is not of this making",
                hint="give the guest another id, or remove the other one by hand",
            )
        tell("removing what is half made")
        if now.config.get("lock"):
            await unlock(self.channels, now)
        if flag(now.config.get("protection")):
            await self.changing.free(now)
        await self.api.run("DELETE", url(now.node, address), tell, force=_force(address))

    async def _is_half_made(self, address: Address) -> bool:
        listed = await self._listed(address)
        if listed is None or listed.address != address:
            return False
        return await self._is_ours_unfinished(await state.read(self.api, listed))

    async def _is_ours_unfinished(self, now: State) -> bool:
        if now.stack is None:
            return await state.is_making(self.api, now)
        return now.stack == self.stack and not now.complete

    async def _listed(self, address: Address) -> Listed | None:
        seen = await cluster.look(self.api)
        return seen.at(int(address.partition("/")[2]))

    async def _wait_for_tasks(self, guest: Guest, listed: Listed, tell: Tell) -> None:
        running = [*await self.api.active(listed.node, listed.vmid)]
        if isinstance(guest.source, CloneOf):
            # A clone's task bears the id of its source.
            source = (await cluster.look(self.api)).guests.get(guest.source.address)
            found = await self.api.active(source.node, source.vmid) if source else ()
            running += [task for task in found if task.type in _CLONING]
        for task in running:
            tell(f"waiting for {task}, which runs since an earlier try")
            await asyncio.gather(
                self.api.wait(task.upid, tell, _MAKE_S), return_exceptions=True
            )  # however it ended: what is there is looked at next

    async def _mark(self, address: Address, *, complete: bool) -> None:
        now = await self.changing.read(address)
        tags = Tags(self.stack, complete, None, now.tags.others)
        await self.changing.write(now, {"tags": tags.write(now.vmid)})

    def _tags(self, *, complete: bool) -> Tags:
        return Tags(self.stack, complete)

    def _making_note(self, guest: Guest) -> str:
        return Notes(stack=self.stack, making=True).write(guest.id)


async def unlock(channels: Channels, now: State) -> None:
    """Takes away the lock of a making that died. The API can't; only `pct` and `qm` can."""
    tool = "pct" if now.address.startswith("lxc/") else "qm"
    channel = channels.of(now.node)
    answer = await channel.run(
        f"{tool} unlock {now.vmid}", f"the lock of {now.address}, whose making broke off"
    )
    if not answer.ok:
        raise Conflict(
            f"{now.address} is locked ({now.config.get('lock')}), and {tool} can't unlock it: "
            f"{answer.words()}",
            hint=f"on {now.node}: {tool} unlock {now.vmid}",
        )


def _force(address: Address) -> bool | None:
    return True if address.startswith("lxc/") else None


def _root(guest: Guest, seen: Cluster, node: str) -> str:
    return f"{_store(guest, seen, node, 'rootdir')}:{guest.disk_gb or 8}"


def _store(guest: Guest, seen: Cluster, node: str, content: str) -> str:
    if guest.pool is not None:
        return guest.pool
    fits = [s for s in seen.storages if s.node == node and s.active and content in s.content]
    if not fits:
        raise NotFound(
            f"{guest.address}: no storage of {node} holds {content}",
            hint="name one as `storage_pool`",
        )
    return max(fits, key=lambda one: one.free_gb or 0.0).name


def _all_shared(seen: Cluster, guest: Guest, source: State) -> bool:
    storage = seen.storage(guest.pool or "", source.node)
    return storage is not None and storage.shared
