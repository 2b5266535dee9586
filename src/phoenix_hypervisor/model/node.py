"""The contract of a node: the machine below the guests, as a driver lets it be spoken to."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.secret import Secret


class Node(Protocol):
    """One host: a root shell on it and, where it is Proxmox VE, its API."""

    @property
    def name(self) -> str:
        """The node's name, as Proxmox VE or the machine itself calls it."""

    @property
    def is_pve(self) -> bool:
        """Whether it is a node of Proxmox VE, so that `get` and `send` work."""

    @property
    def way_in(self) -> Sequence[str]:
        """An argument vector that starts a POSIX shell as root on it."""

    async def run(
        self, script: str, why: str, *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Said:
        """Runs a script of POSIX shell as root; `why` is told to the operator with the report.

        A status other than 0 is an answer. Raises `Unreachable`, `Denied` and `TimedOut`.
        """

    async def get(self, path: str, /, **query: Any) -> Any:
        """The `data` of a read of the API. Raises `Unsupported` where there is none."""

    async def send(self, method: str, path: str, /, **params: Any) -> Any:
        """A write to the API (POST, PUT, DELETE); its task, if it begins one, is waited for.

        Returns the answer's `data`. Raises `Unsupported` where there is no API.
        """


@runtime_checkable
class Reveals(Protocol):
    """A node whose driver knows the stack's secrets."""

    def reveal(self, secret: Secret) -> str:
        """The secret's value. Raises `SecretMissing`."""


@runtime_checkable
class ReachedAnew(Protocol):
    """A node that can be spoken to past all connections that are kept, also at another address."""

    async def anew(self, script: str, why: str, *, address: str | None, timeout_s: float) -> Said:
        """Runs a script as root by a connection of its own, which ends with it.

        `address` is where the node is reached now; None: where it was. Raises `Unreachable`,
        `Denied` and `TimedOut`.
        """

    def moved(self, old: str, new: str) -> None:
        """The node lost the address `old`: what led there leads to `new` from now on."""
