"""The tests' double of Proxmox VE, as a process of its own, and the way to control it.

    with pve.started("pve1", "pve2") as double:
        async with double.api() as api: ...

What it can do is in tests/fakepve; it is never imported here, and its packages are not installed
beside the product's.
"""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.login import Login, Ticket, Token
from phoenix_hypervisor.drivers.proxmox.api.trust import Trust

_ROOT = Path(__file__).parent.parent.parent
_PYTHON = _ROOT / ".venv-fakepve" / "bin" / "python"
_START_S = 60
PASSWORD = "secret"
TOKEN = "phoenix@pve!tests"
TOKEN_SECRET = "0f8c1d52-5b5e-4d8a-9d3e-6a4f3b2c1d00"

PRIVILEGES = (*privileges.BASE, *privileges.ON_DEMAND)


@dataclass(frozen=True)
class Request:
    """A request that the double got, with its answer's status (None: none was given)."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    status: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Asked:
    """All requests since the start or the last `forget`, oldest first."""

    requests: tuple[Request, ...]
    most: dict[str, int]
    """The most requests that were under way at once, per node; the cluster's own under ``."""

    def of(self, method: str, suffix: str = "") -> list[Request]:
        """Those of a method whose path ends with `suffix`."""
        return [one for one in self.requests if one.method == method and one.path.endswith(suffix)]

    @property
    def refused(self) -> list[Request]:
        """Those with parameters that Proxmox VE's schema does not have.

        That an id is taken is told so too, and is no such fault.
        """
        found = [one for one in self.requests if one.status in {400, 501}]
        return [one for one in found if one.path != "/cluster/nextid"]


@dataclass(frozen=True)
class Pve:
    """A running double. Times are Proxmox VE's seconds, made shorter by `time_scale`."""

    url: str
    control: str
    ca_file: str
    fingerprint: str
    files: str = ""
    """A folder with the containers' files, as `/etc/pve` has them: `nodes/pve1/lxc/101.conf`."""

    @asynccontextmanager
    async def api(self, login: Login | None = None, **options: Any) -> AsyncIterator[Api]:
        """A client, by default root@pam itself with a ticket."""
        login = login or Ticket("root@pam", lambda: PASSWORD)
        async with Api(self.url, login, Trust(ca_file=self.ca_file), **options) as api:
            yield api

    async def do(self, operation: str, **options: Any) -> Any:
        """An operation of tests/fakepve/serve.py."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.control}/{operation}", json=options) as answer,
        ):
            said = await answer.json()
        if "error" in said:
            raise AssertionError(f"{operation} {options}: {said['error']}")
        return said["result"]

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        """A method of FakePve, as `call("hold_config_lock", 101, 5)`."""
        return await self.do("call", name=name, args=args, options=options)

    async def set(self, name: str, value: Any) -> None:
        """An attribute of FakePve, as `set("ct_secs", {"create": 0.5})`; mappings are merged."""
        await self.do("set", name=name, value=value)

    async def unset(self, name: str, key: str) -> None:
        """Takes one entry out of an attribute that is a mapping, as `unset("bridges", "vmbr1")`."""
        await self.do("drop", name=name, key=key)

    async def token(self, *privileges: str, path: str = "/", token_id: str = TOKEN) -> Token:
        """A token with these privileges (all that Phoenix needs, where none is named)."""
        await self.set("apitokens", {token_id: TOKEN_SECRET})
        await self.call("grant", token_id, path, *(privileges or PRIVILEGES))
        return Token(token_id, lambda: TOKEN_SECRET)

    async def container(self, vmid: int, name: str = "", **options: Any) -> dict[str, Any]:
        """Adds a container: node, status, config, pending, template, lock, pool, ostemplate."""
        found: dict[str, Any] = await self.call("add_ct", vmid, name or None, **options)
        return found

    async def machine(self, vmid: int, name: str, **options: Any) -> dict[str, Any]:
        """Adds a virtual machine: node, status, config, pending, template, lock, pool."""
        found: dict[str, Any] = await self.call("add_vm", vmid, name, **options)
        return found

    async def guest(self, vmid: int) -> dict[str, Any] | None:
        """A guest as it is inside the double, or None."""
        found: dict[str, Any] | None = await self.do("guest", vmid=vmid)
        return found

    async def guests(self) -> list[dict[str, Any]]:
        """All guests."""
        found: list[dict[str, Any]] = await self.do("guests")
        return found

    async def set_guest(self, vmid: int, **values: Any) -> None:
        """Attributes of a guest, as start_secs, start_error, shutdown_secs, node, config."""
        await self.do("set_guest", vmid=vmid, values=values)

    async def storage(self, name: str, kind: str, content: str, **options: Any) -> None:
        """Adds a storage; `content` as `rootdir,images`."""
        store = {"type": kind, "active": 1, "content": content, **options}
        await self.set("storages", {name: store})

    async def template(self, name: str, storage: str = "local", size: int = 1000) -> str:
        """Adds a container template; returns its volume id."""
        await self.call("store_file", storage, name, size, content="vztmpl")
        return f"{storage}:vztmpl/{name}"

    async def bridge(self, name: str, cidr: str = "") -> None:
        """Adds a bridge to every node."""
        await self.set("bridges", {name: cidr})

    async def tasks(self) -> list[dict[str, Any]]:
        """All tasks there were, with their logs."""
        found: list[dict[str, Any]] = await self.do("tasks")
        return found

    async def drop(
        self,
        method: str,
        suffix: str,
        when: Literal["before", "after"] = "before",
        times: int | None = 1,
    ) -> None:
        """Breaks the connection of requests, before or after they are carried out."""
        await self.do("fault", method=method, suffix=suffix, kind="drop", when=when, times=times)

    async def answer(
        self,
        method: str,
        suffix: str,
        status: int,
        message: str = "Connection timed out",
        *,
        when: Literal["before", "after"] = "before",
        times: int | None = 1,
        html: bool = False,
    ) -> None:
        """Answers so instead, before or after the request is carried out."""
        await self.do(
            "fault",
            method=method,
            suffix=suffix,
            kind="answer",
            when=when,
            times=times,
            status=status,
            message=message,
            html=html,
        )

    async def delay(self, method: str, suffix: str, secs: float, times: int | None = None) -> None:
        """Lets requests take so many real seconds longer."""
        await self.do("fault", method=method, suffix=suffix, kind="delay", secs=secs, times=times)

    async def fail(self, method: str, suffix: str, **options: Any) -> None:
        """FakePve's own `fail`: status and message, or `error`, a name of its catalogue."""
        await self.call("fail", method, suffix, **options)

    async def no_faults(self) -> None:
        """Takes `drop`, `answer`, `delay` and `fail` back."""
        await self.do("no_faults")

    async def asked(self) -> Asked:
        """What was asked so far."""
        found = await self.do("asked")
        requests = [
            Request(
                one["method"],
                one["path"],
                dict(one["query"]),
                dict(one["form"]),
                one["status"],
                one.get("reason", ""),
            )
            for one in found["requests"]
        ]
        return Asked(tuple(requests), found["most"])

    async def forget(self) -> None:
        """Empties the record of requests."""
        await self.do("forget")


def environment() -> Path:
    """The double's own Python; made where it is missing."""
    subprocess.run([_ROOT / "lab" / "fakepve.sh"], check=True, timeout=600)
    return _PYTHON


@contextmanager
def started(
    *nodes: str, time_scale: float = 0.05, files: bool = False, insides: str = ""
) -> Iterator[Pve]:
    """A double with these nodes (one, `pve1`, where none is named).

    `files`: the containers' files are kept in step, and what is written into them counts.
    `insides`: the URL of who plays the containers' insides, see player.py.
    `time_scale`: real seconds for one of its seconds; 0 ends every task before its answer.
    """
    command: Sequence[str | Path] = [
        environment(),
        "-m",
        "tests.fakepve.serve",
        f"--nodes={','.join(nodes) or 'pve1'}",
        f"--time-scale={time_scale}",
        f"--password={PASSWORD}",
        *(["--files"] if files else []),
        *([f"--insides={insides}"] if insides else []),
    ]
    # It ends when its standard input does, however this process dies.
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, "the double of Proxmox VE did not start"
            yield Pve(**json.loads(line))
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
