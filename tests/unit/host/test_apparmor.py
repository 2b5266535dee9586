"""AppArmor's profiles on the host, with a double of its parser."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.host.apparmor import PART
from phoenix_hypervisor.host.part import Choice, Decided
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import ConfigureFailed, Unsupported
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.profiles import Profile, Profiles

GOOD = "profile lxc-gpu flags=(attach_disconnected) {\n  capability,\n}\n"
ADDRESS = Address("apparmor/lxc-gpu")
PLACE = "etc/apparmor.d/lxc-gpu"


@pytest.fixture
def node(tmp_path: Path) -> RootedNode:
    made = RootedNode(tmp_path)
    made.put("sys/kernel/security/apparmor/profiles", "lxc-container-default (enforce)\n")
    made.put("sys/module/apparmor/parameters/enabled", "Y\n")
    return made


def _desired(text: str = GOOD) -> Desired:
    profile = Profile("lxc-gpu", text, (addresses.lxc(101),))
    setup = HostSetup(profiles=Profiles((profile,)))
    return Desired(folder=Path("/nowhere"), stack="s", host=replace(Host(), setup=setup))


def _decided(node: RootedNode, desired: Desired) -> Decided:
    return PART.decide(desired, asyncio.run(PART.look(node, desired)), Choice())


def _apply(node: RootedNode, desired: Desired) -> None:
    for task in _decided(node, desired).tasks:
        asyncio.run(PART.make(node, task, desired, lambda _: None))


def test_a_profile_is_tested_placed_and_loaded(node: RootedNode) -> None:
    (task,) = _decided(node, _desired()).tasks
    assert (task.address, task.action) == (ADDRESS, Action.CREATE)
    _apply(node, _desired())
    assert node.get_text(PLACE) == GOOD
    tested, loaded = node.get_text("state/parsed").splitlines()
    assert "--skip-kernel-load" in tested
    assert "--replace" in loaded
    assert _decided(node, _desired()) == Decided()


def test_one_that_is_not_loaded_and_one_that_was_edited_are_seen(node: RootedNode) -> None:
    _apply(node, _desired())
    node.put("sys/kernel/security/apparmor/profiles", "")
    (task,) = _decided(node, _desired()).tasks
    assert [(one.path, one.before) for one in task.fields] == [("loaded", "no")]
    _apply(node, _desired())
    node.put(PLACE, GOOD + "# by hand\n")
    (task,) = _decided(node, _desired()).tasks
    assert [one.path for one in task.fields] == ["content"]
    _apply(node, _desired())
    assert _decided(node, _desired()).tasks == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profile lxc-gpu {\n nonsense\n}\n", "nothing was changed"),
        ("profile lxc-gpu {\n # not for this kernel\n}\n", "what was there before is back"),
    ],
)
def test_a_bad_one_leaves_the_old_one(node: RootedNode, text: str, told: str) -> None:
    _apply(node, _desired())
    with pytest.raises(ConfigureFailed) as caught:
        _apply(node, _desired(text))
    assert told in caught.value.detail
    assert node.get_text(PLACE) == GOOD
    assert not list((node.root / "var/lib/phoenix/apparmor").iterdir())


def test_a_bad_first_one_is_not_left_behind(node: RootedNode) -> None:
    with pytest.raises(ConfigureFailed):
        _apply(node, _desired("profile lxc-gpu {\n # not for this kernel\n}\n"))
    assert not (node.root / PLACE).exists()


def test_a_host_without_apparmor_is_told(node: RootedNode) -> None:
    node.put("sys/module/apparmor/parameters/enabled", "N\n")
    with pytest.raises(Unsupported, match="not enabled"):
        asyncio.run(PART.look(node, _desired()))
