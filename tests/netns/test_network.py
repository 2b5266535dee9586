"""A network change that cuts the node off is taken back by the node itself, in time, for real."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import played_node
from tests.support.played_node import PlayedNode

from phoenix_hypervisor.host.network import PART
from phoenix_hypervisor.host.part import Choice, Task
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import Conflict, DriverError
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.network import HostInterface, HostNetwork

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces")

_SECONDS = 12
_RELOAD_S = 8.0  # on a machine that is busy with other tests


@pytest.fixture
def node(tmp_path: Path) -> Iterator[PlayedNode]:
    with played_node.started(tmp_path) as played:
        yield played


def _desired(*interfaces: HostInterface) -> Desired:
    network = HostNetwork(interfaces, revert_after_s=_SECONDS)
    return Desired(Path("/nowhere"), "home", host=Host(setup=HostSetup(network=network)))


async def _task(node: PlayedNode, desired: Desired) -> Task:
    decided = PART.decide(desired, await PART.look(node, desired), Choice())
    assert decided.refusals == ()
    (task,) = decided.tasks
    return task


async def _make(node: PlayedNode, desired: Desired) -> list[str]:
    told: list[str] = []
    await PART.make(node, await _task(node, desired), desired, told.append)
    return told


def _bridge(node: PlayedNode, last: int = 2, **words: object) -> HostInterface:
    return replace(HostInterface("vmbr0", address=f"{node.net}.{last}/24"), **words)  # type: ignore[arg-type]


async def test_a_good_change_is_one_activation_and_stays(node: PlayedNode) -> None:
    desired = _desired(
        _bridge(node, ports=("nic0",), comment="the house"),
        HostInterface("vmbr1", address="10.99.1.1/24", ports=(), mtu=1400),
    )
    told = await _make(node, desired)
    assert f"reached again on {node.net}.2" in told[0]
    assert node.writes.count("PUT /nodes/pve1/network") == 1
    assert PART.decide(desired, await PART.look(node, desired), Choice()).tasks == ()
    addresses = node.inside("ip -br addr; cat /sys/class/net/vmbr1/mtu")
    assert "10.99.1.1/24" in addresses
    assert "1400" in addresses
    time.sleep(_SECONDS)  # noqa: ASYNC251 - past the time at which it would be taken back
    assert "10.99.1.1/24" in node.inside("ip -br addr")
    assert node.inside("ls /var/lib/phoenix/network").startswith("disarmed-")


async def test_an_address_that_moves_within_reach_is_followed(node: PlayedNode) -> None:
    desired = _desired(_bridge(node, 3))
    task = await _task(node, desired)
    assert task.impact is Impact.RESTART
    assert f"over vmbr0 ({node.host})" in task.reason
    assert f"goes on to {node.net}.3" in task.reason
    told = await _make(node, desired)
    assert node.host == f"{node.net}.3"
    assert f"is reached on {node.net}.3 now" in told[-1]
    assert PART.decide(desired, await PART.look(node, desired), Choice()).tasks == ()
    time.sleep(_SECONDS)  # noqa: ASYNC251
    said = await node.anew("ip -br addr", "look", address=None, timeout_s=5)
    assert f"{node.net}.3/24" in said.out
    assert f"{node.net}.2/24" not in said.out


@pytest.mark.parametrize("how", ["address", "ports"])
async def test_what_cuts_the_node_off_is_taken_back_in_time(node: PlayedNode, how: str) -> None:
    before = node.inside("cat /etc/network/interfaces")
    bad = {
        "address": HostInterface("vmbr0", address="10.214.9.2/24", gateway="10.214.9.1"),
        "ports": _bridge(node, ports=()),
    }[how]
    begun = time.monotonic()
    with pytest.raises(DriverError) as failed:
        await _make(node, _desired(bad))
    took = time.monotonic() - begun
    assert "it took the change of its network back; all is as before" in failed.value.message
    assert _SECONDS < took < _SECONDS + _RELOAD_S
    assert node.inside("cat /etc/network/interfaces") == before
    said = await node.anew("ip -br addr", "look", address=None, timeout_s=5)  # over the network
    assert f"{node.host}/24" in said.out
    assert "10.214.9.2" not in said.out


async def test_who_dies_after_the_activation_leaves_a_node_that_comes_back(
    node: PlayedNode,
) -> None:
    """The way back is the node's own: nobody has to be there for it."""
    from phoenix_hypervisor.host import _revert

    said = await node.run(_revert.arm("feed", 8), "test")
    assert (said.status, said.err) == (0, "")
    node.inside("sed -i s/10.213/10.214/ /etc/network/interfaces")
    node.inside("/usr/bin/python3 /var/lib/ifupdown2/ifreload -a")
    assert node.host not in node.inside("ip -br addr")
    time.sleep(8 + _RELOAD_S)  # noqa: ASYNC251
    assert node.host in node.inside("ip -br addr")
    said = await node.anew(_revert.disarm("feed", node.host, ""), "x", address=None, timeout_s=5)
    assert said.status == _revert.TOO_LATE


async def test_what_others_left_waiting_is_refused_and_shown(node: PlayedNode) -> None:
    await node.send("POST", "/nodes/pve1/network", iface="vmbr7", type="bridge")
    desired = _desired(_bridge(node, 3))
    decided = PART.decide(desired, await PART.look(node, desired), Choice())
    assert decided.tasks == ()
    assert "+iface vmbr7 inet manual" in decided.refusals[0]


async def test_what_cannot_be_staged_leaves_nothing_waiting_and_nothing_armed(
    node: PlayedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    desired = _desired(_bridge(node, comment="new"), HostInterface("vmbr9", address="10.99.9.1/24"))
    task, send = await _task(node, desired), node.send

    async def fails(method: str, path: str, /, **told: object) -> object:
        if method == "POST":
            assert "armed" in node.inside("ls /var/lib/phoenix/network")
            raise DriverError("the disk is full")
        return await send(method, path, **told)

    monkeypatch.setattr(node, "send", fails)
    with pytest.raises(DriverError, match="the disk is full"):
        await PART.make(node, task, desired, lambda _: None)
    assert node.writes == ["PUT /nodes/pve1/network/vmbr0", "DELETE /nodes/pve1/network"]
    assert node.inside("ls /var/lib/phoenix/network; ls /etc/network | grep new || true") == ""


@pytest.mark.parametrize("how", ["each write is slow", "the way back is over"])
async def test_staged_too_late_is_never_activated(
    node: PlayedNode, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The way back takes away what is staged: then there would be none for the rest of it."""
    desired = _desired(_bridge(node, comment="new"), HostInterface("vmbr9", address="10.99.9.1/24"))
    task, send = await _task(node, desired), node.send

    async def slow(method: str, path: str, /, **told: object) -> object:
        if method == "POST" and how == "each write is slow":
            await asyncio.sleep(_SECONDS)
        elif method == "POST":
            node.inside("sh /var/lib/phoenix/network/revert-*")
        return await send(method, path, **told)

    monkeypatch.setattr(node, "send", slow)
    with pytest.raises(DriverError, match=r"took too long: nothing is changed"):
        await PART.make(node, task, desired, lambda _: None)
    assert "PUT /nodes/pve1/network" not in node.writes
    assert node.inside("ls /etc/network | grep new || true") == ""
    assert "vmbr9" not in node.inside("cat /etc/network/interfaces")


async def test_what_the_node_refuses_to_activate_is_told_at_once(
    node: PlayedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Proxmox VE does without its own ifupdown2."""
    desired = _desired(_bridge(node, comment="new"))
    task, send, begun = await _task(node, desired), node.send, time.monotonic()

    async def refuses(method: str, path: str, /, **told: object) -> object:
        if (method, path) == ("PUT", "/nodes/pve1/network"):
            raise DriverError("you need ifupdown2")
        return await send(method, path, **told)

    monkeypatch.setattr(node, "send", refuses)
    with pytest.raises(DriverError, match=r"refused to activate.* as before: you need ifupdown2"):
        await PART.make(node, task, desired, lambda _: None)
    assert time.monotonic() - begun < _SECONDS / 2
    assert node.inside("ls /var/lib/phoenix/network; ls /etc/network | grep new || true") == ""


async def test_two_changes_at_once_and_a_world_that_moved_are_refused(node: PlayedNode) -> None:
    from phoenix_hypervisor.host import _revert

    desired = _desired(_bridge(node, comment="new"))
    task = await _task(node, desired)
    assert (await node.run(_revert.arm("feed", 60), "test")).status == 0
    with pytest.raises(Conflict, match="another change of its network is under way"):
        await PART.make(node, task, desired, lambda _: None)
    assert node.inside("ls /etc/network | grep -c new; true").strip() == "0"
    moved = replace(task, fields=())
    with pytest.raises(Conflict, match="moved since the plan"):
        await PART.make(node, moved, desired, lambda _: None)


async def test_on_the_node_itself_the_gateway_has_to_answer(node: PlayedNode) -> None:
    """Who works on the node has no connection that could prove anything."""
    from phoenix_hypervisor.host import _revert

    assert (await node.run(_revert.arm("feed", 60), "test")).status == 0
    script = (
        f"unset SSH_CONNECTION\n(\n{_revert.disarm('feed', node.host, '')}\n)\necho status $?\n"
    )
    node.inside("ip link set nic0 down")
    assert f"status {_revert.NOT_YET}" in node.inside(script)
    node.inside("ip link set nic0 up; ip route replace default via " + f"{node.net}.1")
    said = (node.inside(script) for _ in range(10))  # a link takes a moment to come up
    assert any("status 0" in each for each in said)
    assert "status 0" in node.inside(script), "whose answer was lost asks again"
    assert f"status {_revert.TOO_LATE}" in node.inside(script.replace("feed", "cafe"))


async def test_only_a_new_connection_to_the_declared_address_disarms(node: PlayedNode) -> None:
    from phoenix_hypervisor.host import _revert

    assert (await node.run(_revert.arm("feed", 60), "test")).status == 0
    other = _revert.disarm("feed", "127.0.0.1", "")  # it has that one too, but nobody came by it
    said = await node.anew(other, "test", address=None, timeout_s=10)
    assert said.status == _revert.NOT_YET
    right = _revert.disarm("feed", node.host, "")
    for _ in range(10):  # while another test's ifreload is at work, it waits
        said = await node.anew(right, "test", address=None, timeout_s=10)
        if said.status != _revert.NOT_YET:
            break
    assert said.status == 0
