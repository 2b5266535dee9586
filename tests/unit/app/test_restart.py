"""The node's restart: what asks for it, when it is only shown, and how it is waited for."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.app.host import restart
from phoenix_hypervisor.drivers.shell_node import ShellNode
from phoenix_hypervisor.host.part import Choice, Decided, Task
from phoenix_hypervisor.host.planning import make
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.errors import ConfigureFailed, TimedOut, Unreachable

ONE, TWO = Address("host/one"), Address("host/two")
FOUND = (
    Decided((Task(ONE, Action.CREATE, restarts="one holds then"), Task(TWO, Action.CREATE))),
    Decided(restarts=("it was done before", "one holds then")),
)


@pytest.fixture
def node(tmp_path: Path) -> RootedNode:
    return RootedNode(tmp_path)


async def test_nothing_asks_for_it(node: RootedNode) -> None:
    assert await restart.decided(node, FOUND[:1][:0], Choice(reboot=True)) == Decided()
    assert node.asked == []


async def test_it_comes_once_and_last(node: RootedNode) -> None:
    (task,) = (await restart.decided(node, FOUND, Choice(reboot=True))).tasks
    assert (task.address, task.impact, task.left_out) == (
        restart.ADDRESS,
        Impact.RESTART,
        False,
    )
    assert task.reason == ("the node restarts, with all guests: it was done before; one holds then")
    assert task.after == (ONE, TWO)


async def test_unasked_it_is_shown_and_has_no_steps(node: RootedNode) -> None:
    decided = await restart.decided(node, FOUND, Choice())
    plan = make("s", "proxmox", [*FOUND, decided])
    shown = plan.changes[-1]
    assert (shown.address, shown.steps) == (restart.ADDRESS, ())
    assert shown.reason.startswith("only with --allow-reboot: ")
    assert plan.estimate_s == 2.0


async def test_phoenix_does_not_restart_the_machine_that_it_runs_on() -> None:
    here = ShellNode("here", ("sh",))
    try:
        (task,) = (await restart.decided(here, FOUND, Choice(reboot=True))).tasks
    finally:
        await here.close()
    assert task.left_out
    assert task.reason.startswith("restart it yourself")


class Slow(RootedNode):
    """Goes away when it restarts, and comes back after some tries."""

    tries = 3

    async def run(self, script: str, why: str, **more: Any) -> Said:
        if self.get_text("state/gone") and self.tries:
            self.tries -= 1
            raise Unreachable("no route to host")
        return await super().run(script, why, **more)


async def test_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "_PAUSE_S", 0.01)
    node, told = Slow(tmp_path), list[str]()
    node.program("setsid", 'echo 1 > "$S/gone"; echo 2 > "$R/proc/sys/kernel/random/boot_id"')
    await restart.make(node, told.append)
    assert node.tries == 0
    assert told[-1].startswith("the node is back after")
    assert "is-system-running" in node.get_text("state/systemctl")


async def test_one_that_stays_away_is_told(
    node: RootedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "_PAUSE_S", 0.01)
    monkeypatch.setattr(restart, "_LIMIT_S", 0.1)
    node.program("setsid", ":")
    with pytest.raises(TimedOut, match="did not come back"):
        await restart.make(node, lambda _: None)


async def test_a_node_whose_boot_is_hidden_is_left_alone(node: RootedNode) -> None:
    (node.root / "proc/sys/kernel/random/boot_id").unlink()
    with pytest.raises(ConfigureFailed, match="which boot"):
        await restart.make(node, lambda _: None)
