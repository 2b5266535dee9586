"""The Proxmox VE driver: containers and virtual machines of one stack on a node or cluster."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from phoenix_hypervisor.drivers.proxmox import (
    doctor,
    impacts,
    inventory,
    kinds,
    look,
    nodelock,
    problems,
    stopping,
)
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.backups import Backups
from phoenix_hypervisor.drivers.proxmox.changing import Changing
from phoenix_hypervisor.drivers.proxmox.guests import Guests
from phoenix_hypervisor.drivers.proxmox.host_node import HostNode
from phoenix_hypervisor.drivers.proxmox.inside import Inside
from phoenix_hypervisor.drivers.proxmox.making import Making
from phoenix_hypervisor.drivers.proxmox.node import options
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.seeds import Seeds
from phoenix_hypervisor.drivers.proxmox.snapshots import Snapshots
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, FieldChange, Impact
from phoenix_hypervisor.model.desired import Bridge, CloneOf, Desired, Guest, Pool, Target
from phoenix_hypervisor.model.driver import Held, Limits, Run, Tell
from phoenix_hypervisor.model.errors import Unsupported
from phoenix_hypervisor.model.finding import Finding
from phoenix_hypervisor.model.host.backups import Backups as Wanted
from phoenix_hypervisor.model.inventory import Inventory
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields, Observed, SeenGuest
from phoenix_hypervisor.model.snapshot import Taken

_SECONDS = {
    "create": 12.0,
    "clone": 6.0,
    "update": 2.0,
    "adopt": 0.5,
    "start": 6.0,
    "stop": 5.0,
    "snapshot": 2.0,
    "rollback": 3.0,
    "delete_snapshot": 2.0,
    "delete": 3.0,
    "configure": 25.0,
    "check": 1.0,
}


class ProxmoxDriver:
    """One stack's view of a Proxmox VE node or cluster."""

    name = "proxmox"
    # A clone locks its source until it is done.
    limits = Limits(parallel=8, clones_per_source=1, makes_resources=False)
    has_inside = True

    def __init__(
        self,
        target: Target,
        stack: str,
        api: Api,
        *,
        environ: Mapping[str, str],
        folder: Path,
        reveal: Callable[[str], str],
    ) -> None:
        self._target = target
        self._name_of_stack = stack
        self._stack = stack.lower()  # as PVE keeps tags
        self._api = api
        self._options = options.read(target.ssh, environ, folder)
        self._stack_of_contexts = AsyncExitStack()
        self._folder = folder
        self._reveal = reveal

    async def __aenter__(self) -> Self:
        await self._stack_of_contexts.enter_async_context(self._api)
        try:
            self._view = await look.view(self._api, self._target.node)
            node = self._view.node
            # The endpoint may be another node's of the cluster than the one that is worked on.
            known = self._view.cluster.addresses.get(node, node)
            host = self._api.host if node == self._view.cluster.local else known
            self.channels = Channels(self._options, main=node, host=host)
            await self._stack_of_contexts.enter_async_context(self.channels)
        except BaseException:
            await self._stack_of_contexts.aclose()
            raise
        self.channels.learn(self._view.cluster.addresses)
        self._seeds = Seeds(self.channels, self._stack, self._folder, self._reveal)
        self._seeds.cluster = self._view.cluster
        changing = Changing(self._api, self.channels, self._seeds, self._stack)
        self._changing = changing
        self._making = Making(self._api, self.channels, changing, self._stack, node)
        self._guests = Guests(self._api, self.channels, changing, self._seeds, self._stack)
        self._snapshots = Snapshots(self._api, self.channels, changing, self._stack)
        self._inside = Inside(self._api, self.channels, self._guests, self._seeds)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack_of_contexts.aclose()

    async def observe(self, desired: Desired) -> Observed:
        """All guests of all nodes, and the storages and bridges that the files name."""
        self._view = await look.view(self._api, self._target.node)
        found = await look.observe(self._api, desired, self._stack, self._view)
        self._seeds.host, self._seeds.cluster = desired.host, self._view.cluster
        self._seeds.unseeded = frozenset(
            address
            for address, one in found.guests.items()
            if one.complete and not any(path.startswith("cloud_init.") for path in one.fields)
        )
        named = {
            address: replace(one, stack=self._name_of_stack) if one.stack == self._stack else one
            for address, one in found.guests.items()
        }
        return replace(found, guests=named)

    async def inventory(self, desired: Desired) -> Inventory:
        """Everything that the user may see, of every owner."""
        self._view = await look.view(self._api, self._target.node)
        return await inventory.take(self._api, self.channels, self._view)

    async def examine(self, desired: Desired) -> Sequence[Finding]:
        """What is missing on the cluster and its nodes for this folder's guests."""
        return await doctor.examine(self._api, self.channels, self._target, desired, self._view)

    def project(self, thing: Guest | Pool | Bridge) -> Fields:
        """A storage or bridge is used as it is: it has nothing to compare."""
        if not isinstance(thing, Guest):
            return {}
        return kinds.projected(thing, self._seeds.digests(thing, self._node_of(thing)))

    def _node_of(self, guest: Guest) -> str:
        listed = self._view.cluster.guests.get(guest.address)
        return guest.node or (listed.node if listed is not None else self._view.node)

    def impact(self, guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
        """What PVE applies at once is live; the rest waits for a restart."""
        return impacts.impact(guest, seen, change)

    def problems(
        self, desired: Desired, observed: Observed, changes: Sequence[Change] = ()
    ) -> Sequence[str]:
        """Ids, nodes, storages, bridges, templates, privileges, quorum."""
        return problems.find(desired, observed, changes)

    def remarks(self, desired: Desired) -> Sequence[str]:
        """Machines whose documents have no place: what they say is told at the first start only."""
        return tuple(
            f"{guest.address}: no storage of {self._node_of(guest)} takes snippets, so that later "
            "changes of its users, packages and shares are not seen"
            for guest in desired.guests.values()
            if guest.kind == "vm" and not self._seeds.has_store(self._node_of(guest))
        )

    def rooted(self) -> Sequence[str]:
        """What the node channel was used for, a line for each node and reason."""
        return tuple(f"{node}: {why}" for node, why in self.channels.used)

    def estimate(self, step: str, guest: Guest | None) -> float:
        """As measured on a small node."""
        cloned = step == "create" and guest is not None and isinstance(guest.source, CloneOf)
        return _SECONDS.get("clone" if cloned else step, 1.0)

    def hold(self, stack: str, run: Run) -> AbstractAsyncContextManager[Held]:
        """On the cluster's first node, so that it holds for applies from anywhere."""
        # One place for all, whichever node each of them asks.
        first = min(self._view.cluster.online, default=self._view.node)
        return nodelock.hold(self.channels.of(first), stack, run)

    async def ensure(self, resource: Pool | Bridge, stack: str, tell: Tell) -> None:
        """Raises `Unsupported`: storages and bridges belong to the host."""
        raise Unsupported(
            f"{resource.address} is not there", hint="make it on the host, or name another one"
        )

    async def remove(self, resource: Address) -> None:
        """Raises `Unsupported`: none was made."""
        raise Unsupported(f"{resource} belongs to the host: it is left alone")

    async def create(self, guest: Guest, desired: Desired, tell: Tell) -> None:
        """From a template, a cloud image, or as a clone."""
        await self._making.create(guest, tell)

    async def update(
        self, guest: Guest, seen: SeenGuest, changes: Sequence[FieldChange], tell: Tell
    ) -> None:
        """Writes what differs in these fields, with PVE's own digests."""
        paths = {change.path for change in changes}
        now = await self._changing.bring(guest, paths, tell)
        if any(path.startswith("cloud_init.") for path in paths):
            await self._inside.bring(guest, now, tell)

    async def adopt(self, guest: Guest, tell: Tell) -> None:
        """Writes the marks, and nothing else."""
        tell("taking it over")
        await self._guests.adopt(guest)

    async def start(self, guest: Guest, tell: Tell) -> None:
        """Starts it and waits until it can be worked in."""
        if guest.kind == "vm":
            await self._changing.seed(guest)  # it may be on another node since
        now = await self._guests.start(guest.address, tell)
        await self._inside.ready(guest, now, tell)

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        """Shuts down; after a time limit, hard."""
        await self._guests.stop(address, tell, limit_s)

    async def who_stopped(self, address: Address) -> str | None:
        """As the node's tasks tell."""
        now = await self._changing.own(address)
        return await stopping.who_stopped(self._api, now, self._view.permissions)

    async def delete(self, address: Address, tell: Tell, *, keep_volumes: bool = False) -> None:
        """Removes it with its volumes, which PVE destroys with their guest.

        A plan that would make a guest with volumes anew is refused, so that there are none to keep.
        """
        await self._guests.delete(address, tell, for_good=not keep_volumes)

    async def snapshot(
        self, address: Address, name: str, tell: Tell, *, stand_in: bool = True
    ) -> None:
        """Also where bind mounts or the storage forbid PVE's own."""
        await self._snapshots.take(address, name, tell, stand_in=stand_in)

    async def snapshots(self, address: Address) -> Sequence[Taken]:
        """All of them, whose the guest was then in this stack's own spelling."""
        return [
            replace(one, stack=self._name_of_stack) if one.stack == self._stack else one
            for one in await self._snapshots.listed(address)
        ]

    async def rollback(self, address: Address, name: str, tell: Tell) -> None:
        """Goes back, with all volumes; bind mounts stay."""
        await self._snapshots.rollback(address, name, tell)

    async def delete_snapshot(self, address: Address, name: str, tell: Tell) -> None:
        """Deletes one."""
        await self._snapshots.delete(address, name, tell)

    async def mark(self, address: Address, fingerprint: str | None) -> None:
        """In a tag."""
        await self._guests.mark(address, fingerprint)

    async def addresses(self, address: Address) -> Sequence[str]:
        """The guest's IP addresses now."""
        now = await self._guests.find(address)
        return await self._inside.addresses(now, running=await self._guests.runs(now))

    async def way_in(self, address: Address) -> Sequence[str]:
        """A shell as root in the guest: `lxc-attach` on its node, or SSH into the machine."""
        return await self._inside.way_in(await self._changing.own(address))

    async def node(self) -> Node:
        """The node that is worked on."""
        return HostNode(self._api, self.channels.of(self._view.node), self._reveal)

    def backups(self, wanted: Wanted) -> Backups:
        """In the storages that the jobs name."""
        return Backups(self._api, self._changing, self._guests, self._inside, self._stack, wanted)

    async def terminal(self, address: Address) -> Sequence[str]:
        """The same for people."""
        return await self._inside.terminal(await self._changing.own(address))

    async def console(self, address: Address, lines: int) -> str:
        """The last lines of the container's journal or console log on the node."""
        return await self._inside.console(await self._changing.own(address), lines)
