"""A node that is reached by a shell alone: this machine, or whatever a command leads to."""

import asyncio
import shlex
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.errors import Denied, Unsupported
from phoenix_hypervisor.shell import Shell

SHELL_VARIABLE = "PHOENIX_NODE_SHELL"
"""In the environment: a command that opens a root shell on the host."""
_NO_API = "{}: this host is no Proxmox VE node, so that it has no API"


class ShellNode:
    """The host behind `way_in`, an argument vector that starts a root shell on it."""

    is_pve = False

    def __init__(self, name: str, way_in: Sequence[str]) -> None:
        self.name = name
        self.way_in = tuple(way_in)
        self.used: list[str] = []
        self._shell = Shell(self.way_in, name=name)
        self._is_root = False
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Ends its shell."""
        await asyncio.to_thread(self._shell.close)

    async def run(
        self, script: str, why: str, *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Said:
        """As `model.node.Node` has it."""
        if why not in self.used:
            self.used.append(why)
        async with self._turn:
            if not self._is_root:
                await self._check_root()
            return await self._ask(script, stdin, timeout_s)

    async def get(self, path: str, /, **query: Any) -> Any:
        """Raises `Unsupported`."""
        del query
        raise Unsupported(_NO_API.format(path))

    async def send(self, method: str, path: str, /, **params: Any) -> Any:
        """Raises `Unsupported`."""
        del params
        raise Unsupported(_NO_API.format(f"{method} {path}"))

    async def _check_root(self) -> None:
        user = (await self._ask("id -u", b"", 30.0)).out.strip()
        if user != "0":
            raise Denied(
                f"the host is set up by root, but the shell on {self.name} is of user {user}",
                missing="root",
                hint="run this as root",
            )
        self._is_root = True

    async def _ask(self, script: str, stdin: bytes, timeout_s: float) -> Said:
        work = asyncio.to_thread(self._shell.run, script, timeout_s=timeout_s, stdin=stdin)
        task = asyncio.ensure_future(work)
        try:
            return (await asyncio.shield(task)).said()
        except asyncio.CancelledError:
            await asyncio.to_thread(self._shell.close)  # ends the command, there too
            await asyncio.wait([task])
            task.exception()  # it was lost on purpose
            raise


def of(ssh: Mapping[str, Json], environ: Mapping[str, str]) -> ShellNode:
    """The host that `hypervisor.ssh.command` or the environment leads to; else this machine."""
    command = environ.get(SHELL_VARIABLE, "").strip() or str(ssh.get("command") or "")
    if command:
        return ShellNode("host", shlex.split(command))
    return ShellNode(socket.gethostname(), ("sh",))
