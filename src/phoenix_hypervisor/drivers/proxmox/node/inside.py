"""Ways into containers: `lxc-attach` on the node, which starts at once; `pct exec` without it.

Both give the same clean environment, and nothing of the node's own. Source: lxc-attach(1), pct(1).
"""

import asyncio
import os

from phoenix_hypervisor.drivers.proxmox.node.channel import Channel

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
}


def attach(vmid: int, *command: str, term: str = "dumb") -> tuple[str, ...]:
    """Runs a command in a container by `lxc-attach`."""
    variables = [word for name, value in _set(term) for word in ("--set-var", f"{name}={value}")]
    return ("lxc-attach", "-n", str(vmid), "--clear-env", *variables, "--", *command)


def pct_exec(vmid: int, *command: str, term: str = "dumb") -> tuple[str, ...]:
    """The same by `pct exec`, which has no words for the environment in all releases."""
    variables = [f"{name}={value}" for name, value in _set(term)]
    # pct lies in /usr/sbin, which not every way to root has in its PATH.
    start = ("env", f"PATH={_ENVIRONMENT['PATH']}", "pct", "exec", str(vmid), "--")
    return (*start, "env", "-i", *variables, *command)


class Inside:
    """The ways into the containers of one node."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._has_attach: bool | None = None
        self._asking = asyncio.Lock()

    async def way_in(self, vmid: int) -> tuple[str, ...]:
        """An argument vector here that starts a shell as root in the running container."""
        command = await self._command(vmid, ("sh",), "dumb")
        self._channel.used.add(self._channel.node, f"commands inside lxc/{vmid}")
        return self._channel.inside(*command)

    async def terminal(self, vmid: int) -> tuple[str, ...]:
        """An argument vector here that gives a person a login shell in the container."""
        command = await self._command(vmid, ("su", "-l"), os.environ.get("TERM", "linux"))
        self._channel.used.add(self._channel.node, f"a terminal inside lxc/{vmid}")
        return self._channel.terminal(*command)

    async def _command(self, vmid: int, command: tuple[str, ...], term: str) -> tuple[str, ...]:
        async with self._asking:
            if self._has_attach is None:
                answer = await self._channel.run(
                    "command -v lxc-attach", "looking for lxc-attach on the node"
                )
                self._has_attach = answer.ok
        make = attach if self._has_attach else pct_exec
        return make(vmid, *command, term=term)


def _set(term: str) -> tuple[tuple[str, str], ...]:
    return (*_ENVIRONMENT.items(), ("TERM", term))
