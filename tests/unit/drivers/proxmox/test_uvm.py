"""NVIDIA's unified memory device is made on the node before a container that has it starts."""

from typing import Any, cast

import pytest

from phoenix_hypervisor.drivers.proxmox import uvm
from phoenix_hypervisor.drivers.proxmox.node.channels import Channels
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.errors import Unreachable
from phoenix_hypervisor.shell.answer import Answer


class Node:
    """Stands for root on a node: notes what it is asked, and answers as it is told."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer, self.asked = answer, cast("list[str]", [])

    def of(self, node: str) -> "Node":
        assert node == "pve1"
        return self

    async def run(self, script: str, why: str) -> Answer:
        assert why
        self.asked.append(script)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def ensure(node: Node, **config: Any) -> list[str]:
    """What is told."""
    told: list[str] = []
    now = State(address.lxc(101), "pve1", config)
    await uvm.ensure(cast("Channels", node), now, told.append)
    return told


DEVICES = {"dev0": "/dev/nvidia0,mode=0666", "dev2": "/dev/nvidia-uvm,mode=0666"}


async def test_only_for_those_who_have_it() -> None:
    node = Node(Answer(0, b"", b""))
    assert await ensure(node, dev0="/dev/dri/renderD128", net0="name=eth0") == []
    assert node.asked == []
    assert await ensure(node, **DEVICES) == []
    assert node.asked == ["[ -e /dev/nvidia-uvm ] || nvidia-modprobe -u -c=0"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(127, b"", b"sh: nvidia-modprobe: not found\n"), "nvidia-modprobe: not found"),
        (Unreachable("no way to pve1"), "no way to pve1"),
    ],
)
async def test_where_it_cannot_be_made_that_is_told(answer: Answer | Exception, why: str) -> None:
    (told,) = await ensure(Node(answer), **DEVICES)
    assert told.startswith("/dev/nvidia-uvm can't be made on pve1: ")
    assert why in told
