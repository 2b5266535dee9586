"""Only one run at a time sets up a host, whichever stack's it is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.plan.worlds import desired

from phoenix_hypervisor.app.host import hold
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.drivers import shelllock
from phoenix_hypervisor.drivers.shell_node import ShellNode
from phoenix_hypervisor.model.errors import StackBusy, Unreachable
from phoenix_hypervisor.model.node import Node as HostNode

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the host's shell is root's")


def session_of(folder: Path, stack: str, *way_in: str) -> Session:
    """A session of a stack on a target of its own, above a host that they share."""

    class Here(WithInside):
        async def node(self) -> HostNode:
            return ShellNode("pve1", way_in)

    wanted = replace(desired(folder=folder), stack=stack)
    node = Node(wanted, driver_type=Here)
    return Session(wanted, node.driver(), Secrets(folder, {}), ())


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shelllock, "_FOLDER", str(tmp_path / "locks"))
    return tmp_path / "locks"


async def test_two_stacks_never_set_up_one_host_at_once(tmp_path: Path, locks: Path) -> None:
    home, lab = (session_of(tmp_path, stack, "sh") for stack in ("home", "lab"))
    async with hold(home, "phoenix host apply"):
        with pytest.raises(StackBusy) as caught:
            async with hold(lab, "phoenix host apply"):
                pytest.fail("two set up one host")
        said = caught.value.message
        assert said.startswith(
            f"another apply works on host {os.uname().nodename}: "
            "`phoenix host apply (stack home)` by "
        )
        assert f"(pid {os.getpid()}) since " in said
        async with lab.hold("phoenix apply"):
            pass  # guests of the other stack are its own
    async with hold(lab, "phoenix host apply"):
        pass
    assert '"ended"' in (locks / "phoenix.host.lock").read_text()


async def test_a_host_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        async with hold(session_of(tmp_path, "home", "false"), "phoenix host apply"):
            pytest.fail("nobody is there")
