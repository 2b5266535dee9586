"""A node that changes its address while it is worked on: the client goes along, and stays safe."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.login import Ticket
from phoenix_hypervisor.drivers.proxmox.api.trust import Trust
from phoenix_hypervisor.drivers.proxmox.host_node import HostNode
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.used import Used
from phoenix_hypervisor.drivers.proxmox.node.ways import Command
from phoenix_hypervisor.model.errors import Unreachable

NEW = "127.0.0.77"


@asynccontextmanager
async def elsewhere(double: pve.Pve) -> AsyncIterator[list[str]]:
    """The double also answers at the new address; each connection there is noted."""
    url, came = urlsplit(double.url), list[str]()

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("sockname")[0])
        there = await asyncio.open_connection(url.hostname, url.port)
        await asyncio.gather(
            one_way(reader, there[1]), one_way(there[0], writer), return_exceptions=True
        )

    async with await asyncio.start_server(relay, NEW, url.port):
        yield came


async def test_what_follows_is_asked_at_the_new_address(double: pve.Pve) -> None:
    async with double.api() as api, elsewhere(double) as came:
        channel = Channel("pve1", Command("env AT={host} sh", "pve1", "127.0.0.1"), Used())
        node = HostNode(api, channel, str)
        assert (await node.run("echo $AT", "test")).out == "127.0.0.1\n"
        node.moved("10.0.0.9", NEW)  # the API was reached elsewhere
        assert api.host == "127.0.0.1"
        node.moved("127.0.0.1", NEW)
        assert (await node.run("echo $AT", "test")).out == f"{NEW}\n"
        await node.get("/version")
        await node.send("POST", "/cluster/firewall/aliases", name="moved", cidr="10.0.0.1")
        await node.send("DELETE", "/cluster/firewall/aliases/moved")
        await channel.close()
    assert set(came) == {NEW}
    assert len(came) >= 3


async def test_the_name_server_is_not_asked_once_the_network_moves(
    double: pve.Pve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be out of reach by then."""
    named = double.url.replace("127.0.0.1", "localhost")
    login, trust = Ticket("root@pam", lambda: pve.PASSWORD), Trust(ca_file=double.ca_file)
    asked: list[str] = []

    ask = asyncio.BaseEventLoop.getaddrinfo

    async def lookup(loop: asyncio.BaseEventLoop, host: str, *more: Any, **words: Any) -> Any:
        asked.append(host)
        return await ask(loop, host, *more, **words)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", lookup)
    async with Api(named, login, trust) as api:
        known = len(asked)
        api.move("10.0.0.9", NEW)
        assert api.host == "localhost"
        api.move("127.0.0.1", NEW)
        assert (api.host, len(asked)) == (NEW, known)


async def test_the_certificate_is_still_that_of_the_endpoint(double: pve.Pve) -> None:
    """The double's is for 127.0.0.1, and nobody who has the new address gets the password."""
    async with elsewhere(double):
        stranger = double.url.replace("127.0.0.1", NEW)
        with pytest.raises(Unreachable, match="not trusted"):
            async with Api(
                stranger, Ticket("root@pam", lambda: pve.PASSWORD), Trust(ca_file=double.ca_file)
            ):
                pass
