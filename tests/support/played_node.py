"""A node that is a network namespace: reached over a real veth, so that it can be cut off for real.

    with played_node.started(folder) as node:
        await part.make(node, ...)

Its root shell and its API are real TCP connections to the address that it has; ifupdown2 is the
real one. What is behind them is in node_network.py.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.errors import DriverError, Unreachable

_HERE = Path(__file__).parent
_LAB = _HERE.parent.parent / "lab" / "ifupdown2.sh"


class PlayedNode:
    """`model.node.Node` and `ReachedAnew`, by the address that the node had when it was started."""

    name = "pve1"
    is_pve = True
    way_in = ("false",)

    def __init__(self, pid: int, number: int, folder: Path) -> None:
        self.pid = pid
        self.folder = folder
        self.net = f"10.213.{number}"
        self.host = f"{self.net}.2"
        self.writes: list[str] = []
        self._kept: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def run(
        self, script: str, why: str, *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Said:
        """By the one connection that is kept, as a shell over SSH is."""
        asked = {"script": script, "stdin": stdin.decode()}
        return Said(**await self._ask(22, asked, timeout_s))

    async def anew(self, script: str, why: str, *, address: str | None, timeout_s: float) -> Said:
        """By a connection of its own."""
        try:
            async with asyncio.timeout(min(timeout_s, 2)):
                ends = await asyncio.open_connection(address or self.host, 22)
        except (OSError, TimeoutError) as error:
            raise Unreachable(str(error)) from error
        try:
            return Said(**await _talk(ends, {"script": script}, timeout_s))
        finally:
            ends[1].close()

    def moved(self, old: str, new: str) -> None:
        """Takes the new address for all that follows."""
        assert self.host == old
        self.host = new
        self._kept.clear()

    async def get(self, path: str, /, **query: Any) -> Any:
        """A read of the API."""
        return await self.send("GET", path, **query)

    async def send(self, method: str, path: str, /, **told: Any) -> Any:
        """A request to the API."""
        if method != "GET":
            self.writes.append(f"{method} {path}")
        asked = {"method": method, "path": path, "told": told}
        answer = await self._ask(8006, asked, 600)
        if "error" in answer:
            raise DriverError(answer["error"])
        return answer["data"]

    async def _ask(self, port: int, asked: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        if port not in self._kept:
            self._kept[port] = await asyncio.open_connection(self.host, port)
        return await _talk(self._kept[port], asked, timeout_s)

    def inside(self, script: str) -> str:
        """What a script says in the namespace, past its network."""
        argv = ["nsenter", "-t", str(self.pid), "-n", "-m", "sh", "-c", script]
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        found = subprocess.run(
            argv, capture_output=True, text=True, check=True, env=os.environ | {"PATH": path}
        )
        return found.stdout


async def _talk(
    ends: tuple[asyncio.StreamReader, asyncio.StreamWriter], asked: Any, timeout_s: float
) -> dict[str, Any]:
    reader, writer = ends
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(json.dumps(asked).encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
    except (OSError, TimeoutError) as error:
        raise Unreachable(str(error)) from error
    if not line:
        raise Unreachable("the connection was closed")
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError as error:  # ssh would see another host key
        raise Unreachable("somebody else answers there") from error
    return found


@contextmanager
def started(folder: Path) -> Iterator[PlayedNode]:
    """A node with the bridge vmbr0 (10.213.N.2/24) over its card nic0, whose other end is ours."""
    number = os.getpid() % 250 + 1
    ours, net = f"phxj{os.getpid() % 100000}", f"10.213.{number}"
    said = subprocess.run([_LAB], check=True, capture_output=True, text=True)
    unpacked = said.stdout.strip()
    command: list[str | Path] = ["unshare", "--net", "--mount", _HERE / "node_network.sh", folder]
    command += [unpacked, "/usr/bin/python3", _HERE / "node_network.py"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _wait_for_namespace(process.pid)
            peer = ["peer", "name", "nic0", "netns", str(process.pid)]
            _ip("link", "add", ours, "type", "veth", *peer)
            _ip("addr", "add", f"{net}.1/24", "dev", ours)
            _ip("link", "set", ours, "up")
            stanzas = (
                "auto lo|iface lo inet loopback||iface nic0 inet manual||auto vmbr0|"
                f"iface vmbr0 inet static|\taddress {net}.2/24|\tgateway {net}.1|"
                "\tbridge-ports nic0|\tbridge-stp off|\tbridge-fd 0|"
            )
            process.stdin.write(stanzas + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            yield PlayedNode(process.pid, number, folder)
        finally:
            process.stdin.close()
            subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
            process.wait(10)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _wait_for_namespace(pid: int) -> None:
    own = Path("/proc/self/ns/net").readlink()
    for _ in range(200):
        if Path(f"/proc/{pid}/ns/net").readlink() != own:
            return
        subprocess.run(["sleep", "0.02"], check=True)
    raise AssertionError("no namespace was made")
