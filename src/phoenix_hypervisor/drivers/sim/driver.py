"""The driver of the simulated node: the whole contract, on state that is only written down."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Never, Self

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.sim import rules, snapshots
from phoenix_hypervisor.drivers.sim.faults import Fault, Faults
from phoenix_hypervisor.drivers.sim.network import given_addresses
from phoenix_hypervisor.drivers.sim.store import KeptGuest, KeptResource, Store, World
from phoenix_hypervisor.drivers.sim.timing import Timing
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, FieldChange, Impact
from phoenix_hypervisor.model.desired import Bridge, CloneOf, Desired, Guest, Pool
from phoenix_hypervisor.model.driver import Held, Limits, Run, Tell
from phoenix_hypervisor.model.errors import Conflict, Locked, NotFound, Unsupported
from phoenix_hypervisor.model.host.backups import Backups
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields, Observed, SeenGuest, SeenResource, Snapshot
from phoenix_hypervisor.model.snapshot import Taken

_NOT_REAL = "simulated: nothing real was made"


class SimDriver:
    """One stack's view of a simulated node."""

    name = "sim"
    has_inside = False
    # As on Proxmox VE, a clone locks its source.
    limits = Limits(parallel=32, clones_per_source=1)

    def __init__(self, stack: str, store: Store, faults: Faults, timing: Timing) -> None:
        self._stack = stack
        self._store = store
        self._faults = faults
        self._timing = timing
        self._capacity = rules.AMPLE

    async def __aenter__(self) -> Self:
        """Nothing to connect to."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to close."""

    async def observe(self, desired: Desired) -> Observed:
        """The node as it is now. Its capacity is what the hypervisor file declares, or ample."""
        async with self._step("observe", None):
            self._capacity = rules.capacity(desired)
            world = self._store.read()
        wanted = set(desired.pools) | set(desired.bridges)
        return Observed(
            guests={Address(at): _seen(Address(at), kept) for at, kept in world.guests.items()},
            resources={
                Address(at): SeenResource(Address(at), kept.stack, kept.fields)
                for at, kept in world.resources.items()
                if at in wanted or kept.stack == self._stack
            },
            capacity=self._capacity,
        )

    def project(self, thing: Guest | Pool | Bridge) -> Fields:
        """The shared vocabulary, as it is."""
        if isinstance(thing, Guest):
            return words.guest_fields(thing)
        return rules.resource_fields(thing)

    def impact(self, guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
        """As on a target with containers."""
        return words.default_impact(guest, seen.fields, change)

    def problems(
        self, desired: Desired, observed: Observed, changes: Sequence[Change] = ()
    ) -> Sequence[str]:
        """Ids that are taken by the other kind of guest, and what exceeds the node's capacity."""
        return rules.problems(desired, observed, self._stack)

    def remarks(self, desired: Desired) -> Sequence[str]:
        """What is not even written down."""
        return tuple(
            f"{guest.address}: left out on sim: {', '.join(left_out)}"
            for guest in desired.guests.values()
            if (left_out := words.only_proxmox(guest))
        )

    def rooted(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def estimate(self, step: str, guest: Guest | None) -> float:
        """The time that the node was told to take."""
        cloned = step == "create" and guest is not None and isinstance(guest.source, CloneOf)
        return self._timing.of("clone" if cloned else step)

    def hold(self, stack: str, run: Run) -> AbstractAsyncContextManager[Held]:
        """Keeps others from applying to the stack on this node."""
        return self._store.hold(stack, run)

    async def ensure(self, resource: Pool | Bridge, stack: str, tell: Tell) -> None:
        """Writes down a pool or bridge that is missing."""
        tell(f"making {resource.address} ({_NOT_REAL})")
        async with self._step("ensure", resource.address):
            with self._store.change() as world:
                made = KeptResource(stack=stack, fields=dict(rules.resource_fields(resource)))
                world.resources.setdefault(resource.address, made)

    async def remove(self, resource: Address) -> None:
        """Removes a pool or bridge of this stack. Raises `Conflict` where a guest uses it."""
        async with self._step("remove", resource):
            with self._store.change() as world:
                kept = world.resources.get(resource)
                if kept is None:
                    raise NotFound(f"{resource} is not there")
                if kept.stack != self._stack:
                    raise Conflict(f"{resource} was not made by the stack {self._stack}")
                if users := rules.users(world, resource):
                    raise Conflict(f"{resource} is still used by {', '.join(users)}")
                del world.resources[resource]

    async def create(self, guest: Guest, desired: Desired, tell: Tell) -> None:
        """Makes a guest from its template, or as a clone, whose source is locked meanwhile."""
        tell(f"creating ({_NOT_REAL})")
        self._capacity = rules.capacity(desired)
        source = guest.source
        step = "clone" if isinstance(source, CloneOf) else "create"
        async with self._step("create", guest.address, breaks=True) as fault:
            async with self._source_locked(guest):
                with self._store.change() as world:
                    self._clear_half_made(world, guest.address)
                    rules.fits(world, guest, self._capacity)
                    if isinstance(source, CloneOf):
                        self._check_source(world, source)
                    made = KeptGuest(stack=self._stack, complete=False, fields={"name": guest.name})
                    world.guests[guest.address] = made
                await asyncio.sleep(self._timing.of(step))
            _break_off(fault)
            tell(f"writing its configuration ({_NOT_REAL})")
            with self._store.change() as world:
                made = self._own(world, guest.address)
                made.fields = dict(self.project(guest))
                made.complete = True

    async def update(
        self, guest: Guest, seen: SeenGuest, changes: Sequence[FieldChange], tell: Tell
    ) -> None:
        """Writes the fields. Raises `Conflict` where they are not as the plan saw them."""
        tell(f"changing {', '.join(c.path for c in changes)} ({_NOT_REAL})")
        async with self._step("update", guest.address, breaks=True) as fault:
            await asyncio.sleep(self._timing.of("update"))
            reach = changes[: len(changes) // 2] if _is_halfway(fault) else changes
            with self._store.change() as world:
                kept = self._own(world, guest.address)
                rules.check_update(guest, seen, kept, changes)
                self._check_rests(kept, guest, seen, changes)
                for change in reach:
                    if change.after is None and change.path != "firewall":
                        kept.fields.pop(change.path, None)
                    else:
                        kept.fields[change.path] = change.after
                rules.fits(world, guest, self._capacity)
            _break_off(fault)

    async def adopt(self, guest: Guest, tell: Tell) -> None:
        """Writes down that it belongs to this stack."""
        tell(f"taking it over ({_NOT_REAL})")
        async with self._step("adopt", guest.address):
            with self._store.change() as world:
                kept = _there(world, guest.address)
                if kept.stack not in (None, self._stack):
                    raise Conflict(f"{guest.address} belongs to the stack {kept.stack}")
                kept.stack, kept.complete = self._stack, True

    async def start(self, guest: Guest, tell: Tell) -> None:
        """Writes down that it runs, and its addresses."""
        tell(f"starting ({_NOT_REAL})")
        async with self._step("start", guest.address):
            with self._store.change() as world:
                kept = self._own(world, guest.address)
                kept.state = "running"
                kept.addresses = given_addresses(world, guest.address)

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        """Writes down that it rests."""
        tell(f"stopping ({_NOT_REAL})")
        async with self._step("stop", address):
            with self._store.change() as world:
                kept = self._own(world, address)
                kept.state = "stopped"
                kept.addresses = []

    async def delete(self, address: Address, tell: Tell, *, keep_volumes: bool = False) -> None:
        """Forgets a guest of this stack; one that is gone already is no error.

        Volumes are fields of their guest here: there is nothing to keep.
        """
        tell(f"deleting ({_NOT_REAL})")
        async with self._step("delete", address):
            with self._store.change() as world:
                if address not in world.guests:
                    return
                if self._own(world, address).fields.get("protected"):
                    raise Conflict(
                        f"{address} is protected",
                        hint="set `protected` to false and apply before deleting it",
                    )
                del world.guests[address]

    async def snapshot(
        self, address: Address, name: str, tell: Tell, *, stand_in: bool = True
    ) -> None:
        """Keeps a copy of the guest's fields and its fingerprint."""
        tell(f"taking the snapshot {name} ({_NOT_REAL})")
        async with self._step("snapshot", address):
            with self._store.change() as world:
                snapshots.take(self._own(world, address), name)

    async def snapshots(self, address: Address) -> Sequence[Taken]:
        """What was kept, by its time."""
        async with self._step("snapshots", address):
            return snapshots.listed(_there(self._store.read(), address))

    async def rollback(self, address: Address, name: str, tell: Tell) -> None:
        """Puts the copy in the place of the guest's fields and fingerprint."""
        tell(f"going back to the snapshot {name} ({_NOT_REAL})")
        async with self._step("rollback", address):
            with self._store.change() as world:
                snapshots.go_back(self._own(world, address), address, name)

    async def delete_snapshot(self, address: Address, name: str, tell: Tell) -> None:
        """Forgets the copy."""
        tell(f"deleting the snapshot {name} ({_NOT_REAL})")
        async with self._step("delete_snapshot", address):
            with self._store.change() as world:
                snapshots.find(self._own(world, address), address, name)
                del world.guests[address].snapshots[name]

    async def mark(self, address: Address, fingerprint: str | None) -> None:
        """Writes the fingerprint."""
        async with self._step("mark", address):
            with self._store.change() as world:
                self._own(world, address).fingerprint = fingerprint

    async def addresses(self, address: Address) -> Sequence[str]:
        """The addresses that were written down at its start."""
        return list(_there(self._store.read(), address).addresses)

    async def way_in(self, address: Address) -> Sequence[str]:
        """Raises `Unsupported`: there is no inside."""
        self._no_inside(address)

    async def node(self) -> Node:
        """Raises `Unsupported`: what is simulated has no host below it."""
        raise Unsupported(
            "the simulated node has no host that could be set up",
            hint="--on proxmox or --on incus: a plan changes nothing there",
        )

    def backups(self, wanted: Backups) -> Never:
        """Raises `Unsupported`."""
        del wanted
        raise Unsupported(f"there is nothing to back up: {_NOT_REAL}")

    async def terminal(self, address: Address) -> Sequence[str]:
        """Raises `Unsupported`: there is no inside."""
        self._no_inside(address)

    async def console(self, address: Address, lines: int) -> str:
        """Raises `Unsupported`: nothing boots, so nothing is printed."""
        del lines
        self._no_inside(address)

    @asynccontextmanager
    async def _step(
        self, method: str, address: Address | None, *, breaks: bool = False
    ) -> AsyncIterator[Fault | None]:
        """One call: its lock, its time and its ordered fault.

        A body that can be half done (`breaks`) takes its time and breaks off by itself.
        """
        fault = self._faults.take(method, address)
        if fault is not None and (fault.when == "before" or not (breaks or fault.when == "after")):
            raise fault.error
        if address is not None and (reason := self._store.busy.get(address)):
            raise _locked(address, reason)
        if not breaks:
            await asyncio.sleep(self._timing.of(method))
        yield fault
        if fault is not None:
            raise fault.error

    @asynccontextmanager
    async def _source_locked(self, guest: Guest) -> AsyncIterator[None]:
        if not isinstance(guest.source, CloneOf):
            yield
            return
        busy, source = self._store.busy, guest.source.address
        if source in busy:
            raise _locked(source, busy[source])
        busy[source] = f"{guest.address} is cloned from it"
        try:
            yield
        finally:
            del busy[source]

    def _check_rests(
        self, kept: KeptGuest, guest: Guest, seen: SeenGuest, changes: Sequence[FieldChange]
    ) -> None:
        for change in changes if kept.state == "running" else ():
            if self.impact(guest, seen, change) is Impact.RESTART:
                raise Conflict(f"{guest.address} runs: {change.path} can only change at rest")

    def _clear_half_made(self, world: World, address: Address) -> None:
        kept = world.guests.get(address)
        if kept is not None and kept.stack == self._stack and not kept.complete:
            del world.guests[address]
        rules.check_id_free(world, address)

    def _check_source(self, world: World, source: CloneOf) -> None:
        kept = _there(world, source.address)
        if not kept.complete:
            raise Conflict(f"{source.address} is not complete: it can't be cloned")
        if source.snapshot is not None and source.snapshot not in kept.snapshots:
            raise NotFound(f"{source.address} has no snapshot {source.snapshot}")

    def _own(self, world: World, address: Address) -> KeptGuest:
        kept = _there(world, address)
        if kept.stack != self._stack:
            raise Conflict(f"{address} does not belong to the stack {self._stack}: left alone")
        return kept

    def _no_inside(self, address: Address) -> Never:
        _there(self._store.read(), address)
        raise Unsupported(f"{address} has no inside ({_NOT_REAL})")


def _there(world: World, address: Address) -> KeptGuest:
    try:
        return world.guests[address]
    except KeyError:
        raise NotFound(f"{address} is not there") from None


def _locked(address: Address, reason: str) -> Locked:
    return Locked(f"{address} is locked: {reason}", after_s=0.05)


def _seen(address: Address, kept: KeptGuest) -> SeenGuest:
    return SeenGuest(
        address=address,
        name=str(kept.fields.get("name", "")),
        state=kept.state,
        stack=kept.stack,
        complete=kept.complete,
        fields=kept.fields,
        fingerprint=kept.fingerprint,
        snapshots=tuple(Snapshot(n, s.fingerprint) for n, s in sorted(kept.snapshots.items())),
        addresses=tuple(kept.addresses),
        protected=bool(kept.fields.get("protected")),
    )


def _is_halfway(fault: Fault | None) -> bool:
    return fault is not None and fault.when == "halfway"


def _break_off(fault: Fault | None) -> None:
    if fault is not None and fault.when == "halfway":
        raise fault.error
