"""The contract of a driver: how Phoenix sees and changes one outside system.

A driver translates; it decides nothing. What is to be done, in which order and with what impact
is decided by `plan/` with the driver's pure answers (`project`, `impact`, `problems`, `remarks`,
`estimate`); what is done is done by the driver's async methods, each of which leaves either the
old state, the new state, or something that `observe` recognises as half made.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change, FieldChange, Impact
from phoenix_hypervisor.model.desired import Bridge, Desired, Guest, Pool
from phoenix_hypervisor.model.host.backups import Backups
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.observed import Fields, Observed, SeenGuest
from phoenix_hypervisor.model.snapshot import Taken
from phoenix_hypervisor.model.watching import GuestChanged

if TYPE_CHECKING:
    from phoenix_hypervisor.model.backup import BackupStore

Tell = Callable[[str], None]
"""Takes a short text on what a long step is doing now."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the target stands: how many steps at once, and whether one source may be cloned by
    several at the same time (on Proxmox VE a clone locks its source). `makes_resources`: whether
    pools and bridges that are missing are made; else they are an error of the plan.
    """

    parallel: int = 8
    clones_per_source: int = 8
    makes_resources: bool = True


HEALS = "phoenix watch"
"""The command of a run that heals: others wait for it, since it is over soon."""


@dataclass(frozen=True, slots=True)
class Run:
    """Who works on a stack or host: shown to a second one that tries at the same time.

    `cuts`: its work may cut its own connection, by a restart of the node say, so that its lock is
    taken again then.
    """

    id: str
    who: str
    command: str
    cuts: bool = False


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """A run that held the stack and is gone without having given it back: it was killed.

    `told` says who it was and since when, for people.
    """

    id: str
    told: str


@dataclass(slots=True)
class Held:
    """A stack that is held, as its holder and the lock tell each other.

    `broken_off`: runs that held it before and were killed, oldest first. The holder takes out what
    it has settled; the rest is told to the next one. `begun`: whether the holder has begun to
    change things. One that is cancelled before that leaves nothing that a later run has to find.
    """

    broken_off: list[BrokenOff] = field(default_factory=list)
    begun: bool = False


class Driver(Protocol):
    """One target. Opened and closed as an async context manager; methods are safe to call
    concurrently for different addresses.

    Errors are of `model.errors` only: `Retryable` and `Locked` are tried again by apply,
    `UnknownOutcome` makes apply look before it goes on, the others end the step.
    """

    @property
    def name(self) -> str:
        """`proxmox`, `incus` or `sim`."""

    @property
    def limits(self) -> Limits:
        """How much at once."""

    @property
    def has_inside(self) -> bool:
        """Whether guests have an inside that can be configured and checked."""

    async def __aenter__(self) -> Self:
        """Connects. Raises `Unreachable` with how to mend it."""

    async def __aexit__(self, *exc: object) -> None:
        """Closes connections."""

    # Looking: changes nothing.

    async def observe(self, desired: Desired) -> Observed:
        """All guests (of every owner) and the resources that `desired` names or the stack owns."""

    def project(self, thing: Guest | Pool | Bridge) -> Fields:
        """What the target would show if the thing were as desired. Pure.

        The same vocabulary as `SeenGuest.fields`: dotted paths to JSON values, normalised as the
        target normalises (order of tags, case, units). A field that is left out isn't compared.
        """

    def impact(self, guest: Guest, seen: SeenGuest, change: FieldChange) -> Impact:
        """What it costs to change this field of this guest. Pure."""

    def problems(
        self, desired: Desired, observed: Observed, changes: Sequence[Change] = ()
    ) -> Sequence[str]:
        """Why this target can't do what is asked (refusals of the plan): of the files as they are,
        and of these changes, such as a privilege that they need. Pure.
        """

    def remarks(self, desired: Desired) -> Sequence[str]:
        """What this target leaves out of what is asked, worth telling beside the plan. Pure."""

    def estimate(self, step: str, guest: Guest | None) -> float:
        """About how many seconds a step takes. Pure."""

    def rooted(self) -> Sequence[str]:
        """What was done as root on the host in this session, beside the target's API."""

    # Changing.

    def hold(self, stack: str, run: Run) -> AbstractAsyncContextManager[Held]:
        """Keeps others from applying to the stack. Raises `StackBusy` with who and since when.

        It ends with the process that holds it, however that dies. Gives the runs that held it
        before and were killed, oldest first, as far as somebody knows of them.
        """

    async def ensure(self, resource: Pool | Bridge, stack: str, tell: Tell) -> None:
        """Makes a pool or bridge that is missing, marked with the stack."""

    async def remove(self, resource: Address) -> None:
        """Removes a pool or bridge that bears the stack's mark and that nothing uses."""

    async def create(self, guest: Guest, desired: Desired, tell: Tell) -> None:
        """Makes a guest, stopped; a half-made one of this stack is removed first.

        While it works the guest bears the stack's mark and is not `complete`; when it returns
        the guest is complete, with no fingerprint. The clone's source is as the plan's order left
        it: complete and snapshotted. Raises `Conflict` where somebody else's guest has the id.
        """

    async def update(
        self, guest: Guest, seen: SeenGuest, changes: Sequence[FieldChange], tell: Tell
    ) -> None:
        """Brings the guest to what the files say, which differs in these fields: live where
        `impact` said so; else the plan's own steps stop it before and start it after.

        It may be called again after a part of it was done, and then does the rest: it looks at
        the guest anew, and writes with the target's own optimistic lock.
        """

    async def adopt(self, guest: Guest, tell: Tell) -> None:
        """Marks a guest that nobody's stack owns as one of this stack, and changes nothing else.

        Raises `Conflict` for one of another stack.
        """

    async def start(self, guest: Guest, tell: Tell) -> None:
        """Starts it and returns when its init system is up and its addresses are there."""

    async def stop(self, address: Address, tell: Tell, *, limit_s: float | None = None) -> None:
        """Shuts down cleanly; after a time limit, hard. Stopping a stopped one is no error.

        `limit_s` is a shorter limit than the target's usual one, in seconds.
        """

    async def delete(self, address: Address, tell: Tell, *, keep_volumes: bool = False) -> None:
        """Removes a guest that bears the stack's mark, and its own volumes.

        With `keep_volumes` these stay, for the guest that is made in its place. Raises
        `DriverError` for a protected guest.
        """

    async def snapshot(
        self, address: Address, name: str, tell: Tell, *, stand_in: bool = True
    ) -> None:
        """Takes a snapshot, replacing one of the same name.

        Where the guest's storage can't, a guest at rest may stand for its snapshot, which is
        enough to clone from; without `stand_in` that raises `Unsupported`.
        """

    async def snapshots(self, address: Address) -> Sequence[Taken]:
        """All snapshots of a guest, whoever took them, the oldest first."""

    async def rollback(self, address: Address, name: str, tell: Tell) -> None:
        """Brings a guest that rests back to a snapshot: disks, settings and fingerprint.

        It stays the stack's, and stopped. Raises `NotFound` for a snapshot that is not there,
        `Conflict` for one that is not `whole`, that others stand `above`, or of a guest that runs.
        Broken off, it can be done again.
        """

    async def delete_snapshot(self, address: Address, name: str, tell: Tell) -> None:
        """Deletes one snapshot. Raises `NotFound`."""

    async def mark(self, address: Address, fingerprint: str | None) -> None:
        """Records what is configured inside (None: being changed)."""

    async def addresses(self, address: Address) -> Sequence[str]:
        """The guest's IP addresses now, v4 first, without link-local ones."""

    async def way_in(self, address: Address) -> Sequence[str]:
        """An argument vector that starts a POSIX shell as root in the running guest."""

    async def node(self) -> Node:
        """The host below the guests. Raises `Unsupported` where there is none."""

    def backups(self, wanted: Backups) -> "BackupStore":
        """What takes, lists and restores backups in these places. Raises `Unsupported`."""

    async def terminal(self, address: Address) -> Sequence[str]:
        """An argument vector that gives a person an interactive shell in the guest."""

    async def console(self, address: Address, lines: int) -> str:
        """The last lines of the guest's console or boot log, for guests without a way in."""


@runtime_checkable
class TellsWhoStopped(Protocol):
    """What a driver may offer that has no events: the target remembers who asked for what."""

    async def who_stopped(self, address: Address) -> str | None:
        """Who asked the target to stop a guest that rests; None where nobody did since its start.

        Raises `DriverError`.
        """


@runtime_checkable
class PlugsCards(Protocol):
    """What a driver may offer beside its contract: network cards come off a running guest and on
    again, which mends one that leads nowhere without a restart.
    """

    async def plug_again(self, guest: Guest, cards: Sequence[str], tell: Tell) -> None:
        """These cards, by their names inside. They have their addresses again at the end.

        Raises `DriverError`; for a card that somebody took away, before anything is changed.
        """

    async def taken_away(self, guest: Guest, cards: Sequence[str]) -> Sequence[str]:
        """Which of these cards the guest has no more, though no plugging of ours broke off there.

        Raises `DriverError`.
        """


@runtime_checkable
class TellsChanges(Protocol):
    """What a driver may offer beside its contract: the target's own events.

    Without it a watcher looks again and again, and notices a change some seconds later.
    """

    def changes(self) -> AsyncIterator[GuestChanged | None]:
        """Guests of any stack that begin or cease to run, as it happens, until it is left.

        First a None: from there on all is told. Raises `DriverError` where the connection is lost.
        """
