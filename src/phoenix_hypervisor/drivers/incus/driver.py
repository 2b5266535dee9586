"""The driver's face: `model.driver.Driver`, each method handed to the part that knows it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Self

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers import filelock, shell_node
from phoenix_hypervisor.drivers.incus import (
    events,
    images,
    instance,
    inventory,
    look,
    names,
    places,
    resources,
)
from phoenix_hypervisor.drivers.incus.backups import Backups
from phoenix_hypervisor.drivers.incus.client import Client, at
from phoenix_hypervisor.drivers.incus.guests import Guests
from phoenix_hypervisor.drivers.incus.inside import Inside
from phoenix_hypervisor.drivers.incus.snapshots import Snapshots
from phoenix_hypervisor.drivers.incus.volumes import Volumes
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, FieldChange, Impact
from phoenix_hypervisor.model.desired import Bridge, CloneOf, Desired, Guest, Image, Pool, Target
from phoenix_hypervisor.model.driver import Held, Limits, Run, Tell
from phoenix_hypervisor.model.errors import Unsupported
from phoenix_hypervisor.model.finding import Finding
from phoenix_hypervisor.model.host.backups import Backups as Wanted
from phoenix_hypervisor.model.inventory import Inventory
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields, Observed, SeenGuest
from phoenix_hypervisor.model.snapshot import Taken
from phoenix_hypervisor.model.watching import GuestChanged

_DEFAULT_POOL = "phoenix"
_ESTIMATES = {
    "ensure": 3.0,
    "create": 2.0,
    "start": 2.0,
    "stop": 2.0,
    "update": 0.5,
    "snapshot": 0.3,
    "rollback": 1.0,
    "delete_snapshot": 0.3,
    "delete": 1.0,
    "configure": 25.0,
    "check": 1.0,
}
_IMAGE_S = 40.0


class IncusDriver:
    """System containers of one stack in one Incus project."""

    name = "incus"
    limits = Limits(parallel=8, clones_per_source=8)
    has_inside = True

    def __init__(
        self, target: Target, stack: str, *, folder: Path, environ: Mapping[str, str]
    ) -> None:
        self._stack = stack
        self._target = target
        self._node: shell_node.ShellNode | None = None
        self._environ = environ
        self._client = Client(target.endpoint, target.project, environ)
        volumes = self._volumes = Volumes(self._client, stack, _DEFAULT_POOL)
        self._resources = resources.Resources(self._client, volumes)
        self._inside = Inside(self._client)
        self._images = images.Images(self._client)
        self._guests = Guests(self._client, self._inside, self._images, volumes, stack)
        self._snapshots = Snapshots(self._client, stack)
        self._images_there = frozenset[str]()

    async def __aenter__(self) -> Self:
        await self._client.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._node is not None:
            await self._node.close()
        await self._client.close()

    async def observe(self, desired: Desired) -> Observed:
        """Guests of the project, all pools and bridges, capacity and routes."""
        found, self._images_there = await asyncio.gather(
            look.observe(self._client, self._resources, desired), self._images.aliases()
        )
        return found

    async def inventory(self, desired: Desired) -> Inventory:
        """Guests of the project, pools and bridges, of every owner."""
        return await inventory.take(self._client, self._resources, self._images)

    def project(self, thing: Guest | Pool | Bridge) -> Fields:
        """A pool or bridge that exists is used as it is: it has nothing to compare."""
        return instance.projected(thing, _DEFAULT_POOL) if isinstance(thing, Guest) else {}

    def impact(self, guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
        """Incus changes limits, mounts and disks of a running container."""
        return words.default_impact(guest, seen.fields, change)

    def problems(
        self, desired: Desired, observed: Observed, changes: Sequence[Change] = ()
    ) -> Sequence[str]:
        """VMs (no KVM and vsock here), unknown templates, subnets that are not the bridge's."""
        found = list(resources.misplaced(desired, observed))
        for guest in desired.guests.values():
            if guest.kind == "vm":
                found.append(
                    f"{guest.address}: virtual machines need KVM and vsock in Incus's daemon and "
                    "are not made on incus yet; apply them to proxmox, or rehearse with --on sim"
                )
            elif isinstance(guest.source, Image):
                try:
                    images.release(guest.source.template)
                except Unsupported as error:
                    found.append(f"{guest.address}: {error.message}; {error.hint}")
        for bridge in desired.bridges.values():
            taken = resources.routed_elsewhere(bridge, observed.routes)
            if bridge.address not in observed.resources and taken:
                found.append(
                    f"{bridge.address}: this machine already routes {bridge.cidr} elsewhere "
                    f"({taken}); give the guests another subnet"
                )
        return found

    async def examine(self, desired: Desired) -> Sequence[Finding]:
        """Virtual machines of the files, which can't be made here."""
        machines = [guest.address for guest in desired.guests.values() if guest.kind == "vm"]
        if not machines:
            return ()
        said = f"the files have {', '.join(machines)}, which are not made on incus yet"
        mend = "phoenix --on sim plan   (rehearses them; they are for proxmox)"
        return [Finding("virtual machines", False, said, mend)]

    def remarks(self, desired: Desired) -> Sequence[str]:
        """What Incus leaves out."""
        return [line for guest in desired.guests.values() for line in instance.remarks(guest)]

    def rooted(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def estimate(self, step: str, guest: Guest | None) -> float:
        """Measured on a machine with two cores; an image that was not there adds its building."""
        missing = step == "create" and guest is not None and not self._has_image(guest.source)
        return _ESTIMATES.get(step, 1.0) + (_IMAGE_S if missing else 0.0)

    def _has_image(self, source: Image | CloneOf) -> bool:
        if not isinstance(source, Image):
            return True
        try:
            return images.release(source.template).alias in self._images_there
        except Unsupported:  # told among the problems
            return True

    def hold(self, stack: str, run: Run) -> AbstractAsyncContextManager[Held]:
        """A lock on this machine: whoever applies here speaks to this machine's daemon."""
        self._inside.run_id = run.id
        scope = f"incus {self._client.socket} {self._client.project}"
        return filelock.hold(scope, stack, run, environ=self._environ)

    async def ensure(self, resource: Pool | Bridge, stack: str, tell: Tell) -> None:
        """Makes a pool or bridge."""
        tell("making it")
        if isinstance(resource, Pool):
            await self._resources.ensure_pool(resource, stack)
        else:
            await self._resources.ensure_bridge(resource, stack)

    async def remove(self, resource: Address) -> None:
        """Removes a pool or bridge of the stack; the empty project goes with the last."""
        await self._resources.remove(resource, self._stack)
        await self._resources.remove_empty_project()

    async def create(self, guest: Guest, desired: Desired, tell: Tell) -> None:
        """Makes a container, stopped."""
        await self._resources.ensure_project()
        if instance.uses_default_pool(guest):
            await self._resources.ensure_default_pool(_DEFAULT_POOL, self._stack)
        await self._guests.create(guest, desired, tell)

    async def update(
        self, guest: Guest, seen: SeenGuest, changes: Sequence[FieldChange], tell: Tell
    ) -> None:
        """Brings it to what the files say."""
        await self._guests.update(guest, changes, tell)

    async def adopt(self, guest: Guest, tell: Tell) -> None:
        """Marks an instance that no stack owns."""
        tell("taking it over")
        await self._guests.adopt(guest)

    async def start(self, guest: Guest, tell: Tell) -> None:
        """Starts it and waits until it can be worked in."""
        await self._guests.start(guest, tell)

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        """Shuts it down."""
        await self._guests.stop(address, tell, limit_s)

    async def plug_again(self, guest: Guest, cards: Sequence[str], tell: Tell) -> None:
        """Takes network cards off a running guest and puts them on again."""
        await self._guests.plug_again(guest, cards, tell)

    async def taken_away(self, guest: Guest, cards: Sequence[str]) -> Sequence[str]:
        """Which of these cards somebody took away."""
        return await self._guests.taken_away(guest, cards)

    async def delete(self, address: Address, tell: Tell, *, keep_volumes: bool = False) -> None:
        """Removes it with its own volumes."""
        await self._guests.delete(address, tell, keep_volumes=keep_volumes)

    async def snapshot(
        self, address: Address, name: str, tell: Tell, *, stand_in: bool = True
    ) -> None:
        """Takes a snapshot of the guest and its volumes."""
        await self._snapshots.take(address, name, tell)

    async def snapshots(self, address: Address) -> Sequence[Taken]:
        """All of them."""
        return await self._snapshots.listed(address)

    async def rollback(self, address: Address, name: str, tell: Tell) -> None:
        """Goes back, with the volumes that the snapshot holds."""
        await self._snapshots.rollback(address, name, tell)

    async def delete_snapshot(self, address: Address, name: str, tell: Tell) -> None:
        """Deletes one."""
        await self._snapshots.delete(address, name, tell)

    async def mark(self, address: Address, fingerprint: str | None) -> None:
        """Records what is configured inside."""
        await self._guests.mark(address, fingerprint)

    async def addresses(self, address: Address) -> Sequence[str]:
        """The addresses it has now."""
        return await self._inside.ip_addresses(address)

    async def way_in(self, address: Address) -> Sequence[str]:
        """`incus exec … sh`."""
        return self._inside.way_in(address)

    async def node(self) -> Node:
        """This machine, or what `hypervisor.ssh.command` (or PHOENIX_NODE_SHELL) leads to."""
        if self._node is None:
            self._node = shell_node.of(self._target.ssh, self._environ)
        return self._node

    def backups(self, wanted: Wanted) -> Backups:
        """In a folder of this machine."""
        place = places.Places(wanted.folder, self._stack)
        return Backups(self._client, self._guests, self._inside, self._volumes, place)

    async def terminal(self, address: Address) -> Sequence[str]:
        """`incus exec … bash -l`, with a terminal."""
        return self._inside.terminal(address)

    async def console(self, address: Address, lines: int) -> str:
        """The console's log, which holds what the init system printed."""
        text = await self._client.raw_text(at("instances", names.instance(address), "console"))
        return "\n".join(text.splitlines()[-lines:])

    def changes(self) -> AsyncIterator[GuestChanged | None]:
        """The project's events, as the daemon sends them."""
        return events.changes(self._client)
