"""Faults: what others do meanwhile, and what is away: quorum, nodes, logins, rights, ids, edits."""

import asyncio
from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.support import pve
from tests.unit.drivers.proxmox.double.worlds import (
    asked_for,
    converged,
    made,
    only,
    retries,
    tasks,
    tried_again,
)

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.desired import CloneOf
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.plan.make import destroy


def config(vmid: int) -> str:
    return path("nodes", "pve1", "lxc", vmid, "config")


async def test_without_quorum_nothing_is_begun(kit: DoubleKit) -> None:
    await kit.double.call("lose_quorum")
    plan = await kit.plan(kit.desired(kit.guest(0)))
    assert plan.refusals == (
        "the cluster has no quorum, so that nothing can be changed: `pvecm status` tells more",
    )


async def test_quorum_lost_in_the_middle(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.call("lose_quorum")
        walk = asyncio.create_task(kit.walk(plan, desired, driver))
        await tried_again(kit)
        await kit.double.call("regain_quorum")
        report = await walk
    assert report.ok, report.failed
    assert "no quorum" in retries(kit)[0]
    await converged(kit, desired)


async def test_quorum_that_stays_away(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.call("lose_quorum")
        failure = only(await kit.walk(plan, desired, driver))
    assert "no quorum" in failure.message
    assert "`pvecm status`" in failure.hint
    await kit.double.call("regain_quorum")
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_node_that_goes_away_in_the_middle(kit: DoubleKit) -> None:
    """The other node's guests are finished; its own are unknown, then finished by the next run."""
    away = kit.guest(0, node="pve2", snapshot_name="ready")
    here = kit.guest(1, snapshot_name="ready")
    desired = kit.desired(away, here)
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.call("set_node_offline", "pve2")
        failure = only(await kit.walk(plan, desired, driver))
    assert (failure.address, failure.step) == (away.address, "create")
    assert [one["vmid"] for one in await kit.double.guests()] == [here.id]
    refused = (await kit.plan(desired)).refusals
    assert any("the node pve2 is not there, or offline" in line for line in refused)
    await kit.double.call("set_node_offline", "pve2", offline=False)
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_guest_whose_node_is_away_is_never_gone(kit: DoubleKit) -> None:
    guest = kit.guest(0, snapshot_name="ready", node="pve2")
    desired = await made(kit, guest)
    await kit.double.call("set_node_offline", "pve2")
    plan = await kit.plan(desired)
    assert f"{guest.address} can't be seen: its node pve2 is offline" in plan.refusals
    await kit.double.call("set_node_offline", "pve2", offline=False)
    await converged(kit, desired)
    assert await tasks(kit, "vzcreate") == ["OK"]


async def test_a_login_that_ends_in_the_middle(kit: DoubleKit) -> None:
    """No ticket is valid any more: a new one is asked for, and nothing is done twice."""
    target = replace(
        kit.target,
        token_id=None,
        token_secret=None,
        username="root@pam",
        password=Secret(name="PASSWORD"),
    )
    by_password = replace(kit, target=target, environ={**kit.environ, "PASSWORD": pve.PASSWORD})
    await kit.double.set("ct_secs", {"create": 400})
    wanted = [kit.guest(n, snapshot_name="ready") for n in range(3)]
    desired = by_password.desired(*wanted)
    async with by_password.open() as driver:
        plan = await by_password.plan(desired, driver)
        walk = asyncio.create_task(by_password.walk(plan, desired, driver))
        await asked_for(kit, "POST", "/lxc")
        await kit.double.call("revoke_tickets")
        report = await walk
    assert report.ok, report.failed
    asked = await kit.double.asked()
    assert len(asked.of("POST", "/access/ticket")) > 1
    assert [one for one in asked.requests if one.status == 401] != []
    assert await tasks(kit, "vzcreate") == ["OK"] * 3
    await converged(kit, desired)


async def test_a_right_that_was_taken_away_meanwhile(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.set("acl", {pve.TOKEN: []})
        rest = [each for each in privileges.BASE if each != "VM.Config.Memory"]
        await kit.double.token(*rest)
        failure = only(await kit.walk(plan, desired, driver))
    assert failure.step == "update"
    assert f"VM.Config.Memory on /vms/{guest.id} is missing" in failure.message
    assert "pveum role modify" in failure.hint
    assert retries(kit) == []
    await kit.double.token(*privileges.BASE)
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


# Others, at the same time


async def test_an_edit_between_look_and_write(kit: DoubleKit) -> None:
    """Proxmox VE's digest tells: theirs is not overwritten; the next plan shows what is left."""
    guest = kit.guest(0, snapshot_name="ready")
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    await kit.double.delay("PUT", config(guest.id), 0.5, times=1)
    async with kit.open() as driver, kit.double.api() as by_hand:
        plan = await kit.plan(desired, driver)
        walk = asyncio.create_task(kit.walk(plan, desired, driver))
        await asked_for(kit, "PUT", "/config")
        await by_hand.put(config(guest.id), memory=999, cores=4)
        failure = only(await walk)
    assert failure.step == "update"
    assert "detected modified configuration" in failure.message
    assert "plan again" in failure.hint
    there = await kit.double.guest(guest.id)
    assert there is not None
    assert (there["config"]["memory"], there["config"]["cores"]) == (999, 4)
    (change,) = (await kit.plan(desired)).changes
    assert {field.path for field in change.fields} == {"memory_mb", "cores"}


async def test_an_edit_between_plan_and_apply_of_something_else(kit: DoubleKit) -> None:
    """Only what the plan showed is written."""
    guest = kit.guest(0, snapshot_name="ready")
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        async with kit.double.api() as by_hand:
            await by_hand.put(config(guest.id), cores=4, nameserver="10.0.0.53")
        assert (await kit.walk(plan, desired, driver)).ok
    there = await kit.double.guest(guest.id)
    assert there is not None
    shown = {key: there["config"][key] for key in ("memory", "cores", "nameserver")}
    assert shown == {"memory": 300, "cores": 4, "nameserver": "10.0.0.53"}


@pytest.mark.parametrize("kind", ["container", "machine"])
@pytest.mark.parametrize("when", ["before the apply", "just before the request"])
async def test_an_id_that_was_taken_meanwhile(kit: DoubleKit, kind: str, when: str) -> None:
    """Theirs is left alone."""
    guest = kit.guest(0, snapshot_name="ready")
    desired = kit.desired(guest)

    async def take() -> None:
        if kind == "container":
            await kit.double.container(guest.id, "theirs", config={"memory": 64})
        else:
            await kit.double.machine(guest.id, "theirs", config={"memory": 64})

    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        if when == "before the apply":
            await take()
            failure = only(await kit.walk(plan, desired, driver))
        else:
            await kit.double.delay("POST", "/lxc", 0.4, times=1)
            walk = asyncio.create_task(kit.walk(plan, desired, driver))
            await asked_for(kit, "POST", "/lxc")
            await take()
            failure = only(await walk)
    assert failure.step == "create"
    assert "already exists" in failure.message or "is taken by" in failure.message
    (theirs,) = await kit.double.guests()
    assert (theirs["config"]["memory"], theirs["lock"]) == (64, None)
    assert await tasks(kit, "vzdestroy") == []
    plan = await kit.plan(desired)
    assert any("the id is taken by" in line for line in plan.refusals)


async def test_two_stacks_with_one_token_make_the_same_id(kit: DoubleKit) -> None:
    """The second one waits for the first one's task, sees whose it is, and leaves it alone."""
    guest = kit.guest(0, snapshot_name="ready")
    await kit.double.set("ct_secs", {"create": 500})
    other = replace(kit, stack=kit.other_stack, told=[])
    async with kit.open() as first, other.open() as second:
        plans = (
            await kit.plan(kit.desired(guest), first),
            await kit.plan(other.desired(guest), second),
        )
        walks = [asyncio.create_task(kit.walk(plans[0], kit.desired(guest), first))]
        await asked_for(kit, "POST", "/lxc")
        walks.append(asyncio.create_task(other.walk(plans[1], other.desired(guest), second)))
        reports = await asyncio.gather(*walks)
    assert [report.ok for report in reports] == [True, False]
    assert await tasks(kit, "vzdestroy") == []
    await converged(kit, kit.desired(guest))


async def test_a_full_storage_is_told_by_the_plan(kit: DoubleKit) -> None:
    guest = kit.guest(0, disk_gb=2000)
    plan = await kit.plan(kit.desired(guest))
    assert plan.refusals == (
        f"{guest.address}: 2000 GiB are wanted on local-lvm, which has 100 GiB left",
    )


async def test_a_source_that_was_removed_meanwhile(kit: DoubleKit) -> None:
    source = kit.guest(0, snapshot_name="ready")
    clone = kit.guest(1, source=CloneOf(source.address, "ready"), snapshot_name="own")
    await made(kit, source)
    desired = kit.desired(source, clone)
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        async with kit.double.api() as by_hand:
            await by_hand.run("DELETE", path("nodes", "pve1", "lxc", source.id))
        failure = only(await kit.walk(plan, desired, driver))
    assert failure.message == (
        f"{source.address}, which {clone.address} is cloned from, is not there"
    )
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_guest_that_went_out_of_sight_is_not_taken_for_deleted(kit: DoubleKit) -> None:
    guest = kit.guest(0, snapshot_name="ready")
    desired = await made(kit, guest)
    async with kit.open() as driver:
        plan = destroy(desired, await driver.observe(desired), driver, None)
        await kit.double.set("acl", {pve.TOKEN: []})
        await kit.double.token(*(each for each in privileges.BASE if each != "VM.Audit"))
        failure = only(await kit.walk(plan, desired, driver))
    assert failure.message == f"{guest.address} is not there"
    assert [one["vmid"] for one in await kit.double.guests()] == [guest.id]


async def test_a_lost_deletion_on_a_node_that_went_away(kit: DoubleKit) -> None:
    """Whether it was carried out can't be seen: it is not told as done."""
    guest = kit.guest(0, snapshot_name="ready", node="pve2")
    desired = await made(kit, guest)
    async with kit.open() as driver:
        plan = destroy(desired, await driver.observe(desired), driver, None)
        await kit.double.drop("DELETE", f"/lxc/{guest.id}")
        await kit.double.delay("DELETE", f"/lxc/{guest.id}", 0)
        walk = asyncio.create_task(kit.walk(plan, desired, driver))
        await asked_for(kit, "DELETE", f"/lxc/{guest.id}")
        await kit.double.call("set_node_offline", "pve2")
        failure = only(await walk)
    assert failure.step == "delete"
    assert [one["vmid"] for one in await kit.double.guests()] == [guest.id]
