"""What is really there, as one driver saw it in one look."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Capacity, Json

GuestState = Literal["running", "stopped", "absent", "unknown"]
Fields = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot and the fingerprint that the guest had when it was taken."""

    name: str
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class SeenGuest:
    """One guest. `fields` are in the words of `Driver.project`, so that they can be compared.

    `stack` is None for a guest that Phoenix did not make or adopt. `complete` is False where its
    creation broke off. `fingerprint` covers what was configured inside; None: never finished.
    `pending` names fields that wait for a restart. `token` is the driver's own optimistic lock.
    `paused`: it is stopped in that it stands still.
    """

    address: Address
    name: str
    state: GuestState
    stack: str | None = None
    complete: bool = True
    fields: Fields = field(default_factory=dict)
    fingerprint: str | None = None
    snapshots: tuple[Snapshot, ...] = ()
    addresses: tuple[str, ...] = ()
    protected: bool = False
    place: str | None = None
    pending: tuple[str, ...] = ()
    token: str | None = None
    paused: bool = False

    def snapshot(self, name: str) -> Snapshot | None:
        """The snapshot of that name."""
        return next((s for s in self.snapshots if s.name == name), None)


@dataclass(frozen=True, slots=True)
class SeenResource:
    """A pool or bridge that exists; `stack` is None where Phoenix did not make it."""

    address: Address
    stack: str | None = None
    fields: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at a target.

    `unknown` maps addresses that could not be seen to the reason: not there and not visible are
    different things, and a plan never takes the one for the other.
    """

    guests: Mapping[Address, SeenGuest] = field(default_factory=dict)
    resources: Mapping[Address, SeenResource] = field(default_factory=dict)
    capacity: Capacity = field(default_factory=Capacity)
    unknown: Mapping[Address, str] = field(default_factory=dict)
    routes: tuple[tuple[str, str], ...] = ()
    """Subnets (CIDR) that the target's host routes, each with its interface's name."""
    offered: tuple[Address, ...] = ()
    """Pools and bridges that are there for the taking, where the target makes none itself."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """What only the driver itself understands, for its own pure answers: privileges, say."""
