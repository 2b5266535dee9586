"""The contract of backups: how a target takes, lists and restores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.host.backups import BackupJob


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup that is there. `id` names it on its target; `place` is where it lies.

    `size` is in bytes, None where nobody tells. `protected`: the target keeps it for good.
    """

    id: str
    guest: Address
    taken: datetime
    place: str
    size: int | None = None
    protected: bool = False


class RunInside(Protocol):
    """Runs a script as root in one guest."""

    async def __call__(self, script: str, timeout_s: float, stdin: bytes) -> Said:
        """A status other than 0 is an answer. Raises `TimedOut` and what the target raises."""


class BackupStore(Protocol):
    """The backups of one stack on one target."""

    async def listed(self) -> Sequence[Backup]:
        """All in the places that the files name, of every guest, the oldest first."""

    async def take(self, guest: Guest, job: BackupJob, tell: Tell) -> Sequence[Backup]:
        """Backs a guest up with its volumes, and then drops what the job no longer keeps.

        Returns the new backup, and then those that went. A guest that the job stops or pauses goes
        on afterwards, also after a failure. What was half made counts as nothing.
        """

    async def restore(self, backup: Backup, guest: Guest, spare: Address, tell: Tell) -> None:
        """Restores it as a guest of another id, at rest and marked as a spare one.

        It is cut off: no card leads anywhere, it has no shared folder, it never starts by itself.
        Raises `Conflict` where the id is taken. The guest itself is not touched.
        """

    async def start(self, guest: Guest, spare: Address, tell: Tell) -> None:
        """Starts a spare guest, and returns when its init system is up."""

    def inside_of(self, spare: Address) -> RunInside | None:
        """The way into a spare guest that is not reached as others are; None: it is as they are."""

    async def discard(self, spare: Address, tell: Tell) -> None:
        """Removes a spare guest with its volumes. One that is gone is no error.

        Raises `Conflict` for a guest that is no spare one of this stack.
        """

    async def spares(self) -> Sequence[Address]:
        """The spare guests that are there: what a killed run left."""
