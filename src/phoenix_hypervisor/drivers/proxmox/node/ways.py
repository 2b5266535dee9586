"""Ways to a root shell on a node: on this very machine, by `ssh`, or by a command of the user's.

A way makes argument vectors and starts nothing itself.
"""

import contextlib
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Protocol, Self

from phoenix_hypervisor.drivers.proxmox.node.options import Options
from phoenix_hypervisor.drivers.proxmox.node.ssh import Ssh
from phoenix_hypervisor.model.errors import Denied, PhoenixError, Unreachable
from phoenix_hypervisor.shell import relay

_CLUSTER_FILES = Path("/etc/pve")


class Way(Protocol):
    """How commands get to one node. All vectors are for this machine."""

    @property
    def label(self) -> str:
        """What people call it: `ssh root@pve1`."""

    def shell(self) -> tuple[str, ...]:
        """Starts a POSIX shell as root on the node, over pipes."""

    def inside(self, *command: str) -> tuple[str, ...]:
        """Runs a command as root on the node, over pipes."""

    def terminal(self, *command: str) -> tuple[str, ...]:
        """Runs a command as root on the node, with a terminal."""

    def anew(self, address: str | None) -> "Way":
        """The same way by a connection of its own; `address`: where the node is reached now."""

    def explain(self, error: Unreachable) -> PhoenixError:
        """What was in the way, and how to mend it, for an error of `Shell`."""

    def close(self) -> tuple[str, ...] | None:
        """A command that ends what the way keeps open, if anything."""


class Local:
    """This machine is the node."""

    label = "this machine"

    def __init__(self, *, is_root: bool | None = None) -> None:
        root = os.geteuid() == 0 if is_root is None else is_root
        self._prefix: tuple[str, ...] = () if root else ("sudo", "-n", "--")

    def shell(self) -> tuple[str, ...]:
        """`sh`, by `sudo` for others than root."""
        return (*self._prefix, "sh")

    def inside(self, *command: str) -> tuple[str, ...]:
        """The command itself."""
        return (*self._prefix, *command)

    def terminal(self, *command: str) -> tuple[str, ...]:
        """The command itself."""
        return (*self._prefix, *command)

    def anew(self, address: str | None) -> Self:
        """This machine stays where it is."""
        del address
        return self

    def explain(self, error: Unreachable) -> PhoenixError:
        """Only `sudo` can be in the way."""
        if self._prefix and "sudo" in error.message:
            return Denied(
                f"root is needed on this node: {error.message}",
                missing="root",
                hint="run phoenix as root, or let sudo run it without a password",
            )
        return error

    def close(self) -> None:
        """Nothing is kept open."""


class Command:
    """A command of the user's that opens a root shell, such as `ssh -J gate root@pve1`."""

    def __init__(self, command: str, node: str, host: str) -> None:
        self._made_of = (command, node, host)
        placed = command.replace("{node}", node).replace("{host}", host)
        self._argv = tuple(shlex.split(placed))
        self.label = placed

    def shell(self) -> tuple[str, ...]:
        """The command itself."""
        return self._argv

    def inside(self, *command: str) -> tuple[str, ...]:
        """A relay that has the opened shell become the command."""
        return relay.argv(f"exec {shlex.join(command)}", self._argv, sys.executable)

    def terminal(self, *command: str) -> tuple[str, ...]:
        """The same; the terminal is made on the node by `script` (util-linux)."""
        return relay.argv(shlex.join(command), self._argv, sys.executable, terminal=True)

    def anew(self, address: str | None) -> "Command":
        """The same command; only `{host}` in it becomes the address."""
        command, node, host = self._made_of
        return Command(command, node, address or host)

    def explain(self, error: Unreachable) -> PhoenixError:
        """The command's own words tell most."""
        return Unreachable(
            f"the command for a root shell on the node gives none: {error.message}",
            hint=f"it must start a POSIX shell that reads its input; try: echo id | {self.label}",
        )

    def close(self) -> None:
        """Nothing is kept open."""


def is_here(node: str) -> bool:
    """Whether this machine is the node: the cluster's files are mounted, and it has its name."""
    return _CLUSTER_FILES.is_mount() and socket.gethostname().partition(".")[0] == node


def is_own(host: str) -> bool:
    """Whether a host is this machine: nodes of other clusters have the same names (`pve`)."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, _, _, address in found:
        with contextlib.suppress(OSError), socket.socket(family, kind) as trial:
            trial.bind(address)  # only a machine's own address can be bound
            return True
    return False


def choose(node: str, host: str, options: Options) -> Way:
    """The way to a node: the user's command where there is one, this machine, or `ssh`."""
    if options.command:
        return Command(options.command, node, host)
    if is_here(node) and is_own(host):
        return Local()
    return Ssh(host, options)
