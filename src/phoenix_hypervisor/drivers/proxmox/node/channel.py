"""Root on one node: shells that are kept there, and the API as root@pam.

A few shells per node work side by side, so that a long command does not hold up the short ones.
"""

import asyncio
import functools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from phoenix_hypervisor.drivers.proxmox.api import answers
from phoenix_hypervisor.drivers.proxmox.api.paths import Param
from phoenix_hypervisor.drivers.proxmox.node import pvesh
from phoenix_hypervisor.drivers.proxmox.node.used import Used
from phoenix_hypervisor.drivers.proxmox.node.ways import Way
from phoenix_hypervisor.model.errors import Denied, NotFound, UnknownOutcome, Unreachable
from phoenix_hypervisor.shell import Answer, Shell

_AT_ONCE = 3
_NO_COMMAND = 127
# A command of the user's may give any environment: tools are found, and speak English.
_PREPARE = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C.UTF-8; export PATH LC_ALL\n"


class Channel:
    """Root on `node`. Opened by its first use; safe for concurrent use in one event loop."""

    def __init__(self, node: str, way: Way, used: Used, *, same_name: bool = False) -> None:
        """`same_name`: what is reached must call itself as the node; else it may do so or not."""
        self.node = node
        self.used = used
        self.label = way.label
        self._way = way
        self._same_name = same_name
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"node-{node}")
        self._idle: list[Shell] = []
        self._shells: list[Shell] = []
        self._is_root: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def run(
        self, script: str, why: str, *, timeout_s: float = 60, stdin: bytes = b""
    ) -> Answer:
        """Runs a script of POSIX shell as root on the node; `why` is noted in `used`.

        Raises `Unreachable`, `Denied` (no key, no root) and `TimedOut`; an exit status other
        than 0 is an answer. One that is cancelled is ended on the node.
        """
        self.used.add(self.node, why)
        await self._check_root()
        return await self._on_a_shell(_PREPARE + script, timeout_s, stdin)

    async def api(
        self, method: str, path: str, why: str, /, *, timeout_s: float = 600, **params: Param
    ) -> Any:
        """A request to the API as root@pam, by `pvesh`: what no token may do.

        `path` as for the API. A task is waited for; its UPID is the answer. Never pass a secret:
        parameters can be read by all users of the node. Raises as the API's client does; where
        the connection broke during a write, `UnknownOutcome`.
        """
        command = pvesh.command(method, path, params)
        try:
            answer = await self.run(command, why, timeout_s=timeout_s)
        except Unreachable as error:
            if method.upper() == "GET":
                raise
            raise UnknownOutcome(
                f"{self.node}: the connection broke during pvesh: {method} {path}", hint=error.hint
            ) from error
        said = answer.said()
        if answer.status == _NO_COMMAND:
            raise NotFound(
                f"{self.node}: {self.label} has no pvesh",
                hint="is this a Proxmox VE node? hypervisor.node and hypervisor.ssh name it",
            )
        if not answer.ok:
            raise pvesh.refused(method, path, said.err or said.out)
        data = pvesh.answer(said.out)
        if (upid := pvesh.upid(data)) and method.upper() != "GET":
            log = said.err + said.out.rpartition(f'"{upid}"')[0]
            await self._check_task(method, path, upid, log, why)
        return data

    async def anew(self, script: str, why: str, *, address: str | None, timeout_s: float) -> Answer:
        """Runs a script by a connection of its own, to `address` where the node moved.

        Raises as `run` does.
        """
        self.used.add(self.node, why)
        way = self._way.anew(address)
        shell = Shell(way.shell(), name=self.node, open_s=timeout_s)
        try:
            work = functools.partial(shell.run, _PREPARE + script, timeout_s=timeout_s)
            return await asyncio.to_thread(work)
        except Unreachable as error:
            raise way.explain(error) from error
        finally:
            await asyncio.to_thread(shell.close)

    def move(self, address: str) -> None:
        """The node is reached at another address now; what leads to the old one is left behind."""
        self._way = self._way.anew(address)
        self._idle.clear()

    def inside(self, *command: str) -> tuple[str, ...]:
        """An argument vector here that runs a command as root on the node, over pipes."""
        return self._way.inside(*command)

    def terminal(self, *command: str) -> tuple[str, ...]:
        """The same with a terminal, for people."""
        return self._way.terminal(*command)

    async def close(self) -> None:
        """Ends the shells. The control connection stays a minute for the next run."""
        if self._is_root is not None:
            self._is_root.cancel()
        shells, self._shells, self._idle = self._shells, [], []
        await asyncio.gather(*(asyncio.to_thread(shell.close) for shell in shells))
        self._threads.shutdown(wait=False)

    async def _check_root(self) -> None:
        """Asks once who we are there; a failed asking is tried again by the next use."""
        if self._is_root is None or (self._is_root.done() and not _went_well(self._is_root)):
            self._is_root = asyncio.create_task(self._ask_root())
        await asyncio.shield(self._is_root)

    async def _ask_root(self) -> None:
        said = (await self._on_a_shell("id -u; hostname", 30, b"")).said()
        user, _, name = said.out.strip().partition("\n")
        if user != "0":
            raise Denied(
                f"{self.label} gives a shell of user {user or said.err.strip()}, not of root, "
                f"on {self.node}",
                missing="root",
                hint="take root as hypervisor.ssh.user, or a command that becomes root (sudo -n)",
            )
        if self._same_name and name.partition(".")[0] != self.node:
            raise Unreachable(
                f"{self.label} leads to {name}, and not to {self.node}",
                hint="let the command hold {node} or {host}, which become the node's name and "
                "address",
            )

    async def _on_a_shell(self, script: str, timeout_s: float, stdin: bytes) -> Answer:
        async with self._free:
            shell = self._idle.pop() if self._idle else self._new_shell()
            try:
                return await self._in_thread(shell, script, timeout_s, stdin)
            except Unreachable as error:
                explained = self._way.explain(error)
                explained.detail = explained.detail or error.message
                raise explained from error
            finally:
                self._idle.append(shell)

    def _new_shell(self) -> Shell:
        shell = Shell(self._way.shell(), name=self.node)
        self._shells.append(shell)
        return shell

    async def _in_thread(self, shell: Shell, script: str, timeout_s: float, stdin: bytes) -> Answer:
        work = functools.partial(shell.run, script, timeout_s=timeout_s, stdin=stdin)
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.to_thread(shell.close)  # ends the command, there too
            await asyncio.wait([future])
            future.exception()  # it was lost on purpose
            raise

    async def _check_task(self, method: str, path: str, upid: str, log: str, why: str) -> None:
        # pvesh ends well when the task that it waited for did not.
        status = pvesh.command("GET", f"/nodes/{upid.split(':')[1]}/tasks/{upid}/status", {})
        answer = await self.run(status, why)
        if not answer.ok:
            raise UnknownOutcome(
                f"{self.node}: how the task {upid} ended can't be read: {answer.words()}"
            )
        end = json.loads(answer.said().out).get("exitstatus") or ""
        if end != "OK" and not end.startswith("WARNINGS:"):
            raise answers.of_task(answers.Asked(method, path), end, log.splitlines())


def _went_well(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is None
