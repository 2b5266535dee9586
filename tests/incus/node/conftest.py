"""A container that plays a node, with one running guest, for all tests of a session."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.node import Node

from phoenix_hypervisor.drivers.proxmox.node import options
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels

GUEST = 101

Words = dict[str, Any]
MakeChannels = Callable[..., Channels]


@pytest.fixture(scope="session")
def node(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("node"))
    try:
        made.make()
        made.create(GUEST)
        made.start(GUEST)
        yield made
    finally:
        made.clear()


@pytest.fixture
def ssh_words(node: Node) -> Words:
    """`hypervisor.ssh` for the node."""
    return {"identity_file": str(node.key), "known_hosts": str(node.known_hosts)}


@pytest.fixture
async def make_channels(node: Node, ssh_words: Words) -> AsyncIterator[MakeChannels]:
    """Makes the channels of a run, as `hypervisor.ssh` and the environment say."""
    made: list[Channels] = []

    def make(environ: dict[str, str] | None = None, **words: Any) -> Channels:
        found = options.read(ssh_words | words, environ or {}, Path("/"))
        made.append(Channels(found, main=node.name, host=node.address))
        return made[-1]

    yield make
    for channels in made:
        await channels.close()


@pytest.fixture
def channel(make_channels: MakeChannels, node: Node) -> Channel:
    return make_channels().of(node.name)
