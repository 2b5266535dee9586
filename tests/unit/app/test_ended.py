"""What the host got once and the files no longer ask for is found by its own files, and ended."""

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.app.host import ended
from phoenix_hypervisor.features import available
from phoenix_hypervisor.features.cpu_governor import UNIT_FILE, unit
from phoenix_hypervisor.host.part import Task
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.system import System

NOTHING = Desired(folder=Path("/nowhere"), stack="s")
PLACE = UNIT_FILE.lstrip("/")


@pytest.fixture
def node(tmp_path: Path) -> RootedNode:
    made = RootedNode(tmp_path)
    made.put(PLACE, unit("powersave"))
    made.put("etc/samba/smb.conf", "[global]\n# Made by Phoenix\n")  # not its first line
    return made


def look(node: RootedNode, desired: Desired = NOTHING) -> tuple[Task, ...]:
    return asyncio.run(ended.look(node, desired))


def test_it_is_found_by_its_note_where_the_files_do_not_ask_for_it(node: RootedNode) -> None:
    (task,) = look(node)
    assert (task.address, task.action) == (Address("host/cpu_governor"), Action.STOP)
    assert task.reason.startswith("this folder's files do not ask for it (another folder's may)")
    # The double keeps the root out of paths that a node prints.
    assert task.fields == (FieldChange(f"file {UNIT_FILE}", "made by Phoenix", "removed"),)
    setup = HostSetup(system=System(governor="powersave"))
    assert look(node, replace(NOTHING, host=replace(Host(), setup=setup))) == ()


def test_its_unit_ends_and_its_file_goes(node: RootedNode) -> None:
    node.program(
        "systemctl",
        'echo "$*" >> "$S/systemctl"\n'
        '[ "$1" != list-unit-files ] || echo phoenix-cpu-governor.service enabled enabled',
    )
    asyncio.run(ended.end(node, "cpu_governor", lambda _: None))
    told = node.get_text("state/systemctl").splitlines()
    assert "disable --now --quiet phoenix-cpu-governor.service" in told
    assert told[-1] == "daemon-reload"
    assert node.get_text(PLACE) == ""
    assert look(node) == ()


def test_what_can_not_be_ended_keeps_its_file_and_is_told(node: RootedNode) -> None:
    node.program(
        "systemctl",
        '[ "$1" != list-unit-files ] || echo phoenix-cpu-governor.service enabled enabled\n'
        '[ "$1" != disable ] || { echo "Failed to stop" >&2; exit 1; }',
    )
    with pytest.raises(ConfigureFailed) as caught:
        asyncio.run(ended.end(node, "cpu_governor", lambda _: None))
    assert "Failed to stop" in caught.value.detail
    assert look(node) != ()


def test_a_file_without_the_note_stays(node: RootedNode) -> None:
    asyncio.run(ended.end(node, "samba", lambda _: None))
    assert node.get_text("etc/samba/smb.conf").startswith("[global]")


@pytest.mark.parametrize("name", [name for name, one in available().items() if one.host_files])
def test_every_ending_is_a_shell_script(name: str) -> None:
    script = available()[name].leave_host_script()
    done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
