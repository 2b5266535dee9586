"""What single steps do to the node, beyond what the walk's tests see."""

from dataclasses import replace

import pytest
from tests.unit.apply.nodes import Node
from tests.unit.plan.worlds import NEW, OLD, desired, guest, plain, template

from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed

WEB = guest(101)


@pytest.fixture
async def node() -> Node:
    """A complete node with one guest, whose inside then is out of date."""
    made = Node(desired(WEB))
    await made.complete()
    await made.driver().mark(WEB.address, OLD)
    return made


async def test_while_a_guest_is_configured_it_is_marked_as_unfinished(node: Node) -> None:
    during: list[str | None] = []

    async def look(wanted: Guest, tell: Tell) -> None:
        during.append((await node.guest("lxc/101")).fingerprint)
        tell("half way")

    node.configure = look
    assert (await node.apply()).ok
    assert during == [None]
    assert (await node.guest("lxc/101")).fingerprint == NEW
    assert "half way" in [e.message for e in node.events if e.event == "progress"]


async def test_a_failed_configuration_leaves_it_marked_as_unfinished(node: Node) -> None:
    async def fails(wanted: Guest, tell: Tell) -> None:
        raise ConfigureFailed("apt failed", hint="look below", detail="E: no such package")

    node.configure = fails
    (failure,) = (await node.apply()).failed
    assert (failure.message, failure.detail) == ("apt failed", "E: no such package")
    assert (await node.guest("lxc/101")).fingerprint is None
    (change,) = (await node.plan()).changes
    assert change.reason == "its features are not completely applied: nginx"


async def test_configure_and_check_get_the_guest_of_the_files(node: Node) -> None:
    got: list[Guest] = []

    async def take(wanted: Guest, tell: Tell) -> None:
        got.append(wanted)

    node.configure = node.check = take
    await node.apply()
    assert got == [WEB, WEB]


async def test_exactly_the_planned_fields_are_changed() -> None:
    node = Node(desired(replace(WEB, memory_mb=64, cores=4, name="old")))
    await node.complete()
    node.folder = desired(WEB)
    plan = await node.plan()
    (change,) = plan.changes
    only_memory = tuple(f for f in change.fields if f.path == "memory_mb")
    report = await node.walk(replace(plan, changes=(replace(change, fields=only_memory),)))
    assert report.ok
    fields = (await node.guest("lxc/101")).fields
    assert (fields["memory_mb"], fields["cores"], fields["name"]) == (512, 4, "old")


async def test_a_template_without_a_name_for_its_snapshot_is_never_asked_for_one() -> None:
    node = Node(desired(template(900, snapshot_name="gold"), plain(101)))
    assert (await node.apply()).ok
    assert [s.name for s in (await node.guest("lxc/900")).snapshots] == ["gold"]
    assert (await node.guest("lxc/101")).snapshots == ()


async def test_a_guest_is_made_anew_in_another_pool() -> None:
    node = Node(desired(replace(WEB, pool="old")))
    await node.complete()
    node.folder = desired(WEB)
    report = await node.apply(prune=True)
    assert (report.ok, report.summary) == (True, {"create": 1, "replace": 1, "delete": 1})
    assert (await node.guest("lxc/101")).fields["pool"] == "tank"
    assert sorted(node.store.read().resources) == ["bridge/vmbr0", "storage/tank"]
