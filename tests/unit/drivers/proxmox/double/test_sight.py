"""A token that may see only a part: what is out of its sight is unknown, never gone."""

from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.support import pve
from tests.unit.drivers.proxmox.double.worlds import converged, made

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.model.desired import Guest, Image


async def sees(double: pve.Pve, privilege: str, *paths: str) -> None:
    """Takes a privilege away everywhere but on these paths."""
    await double.set("acl", {pve.TOKEN: []})
    rest = [each for each in privileges.BASE if each != privilege]
    await double.token(*rest)
    for path in paths:
        await double.token(*privileges.BASE, path=path)


def writes(asked: pve.Asked) -> list[str]:
    return [str(one) for one in asked.requests if one.method != "GET"]


@pytest.mark.parametrize("mine", [True, False], ids=["of this stack", "somebody else's"])
async def test_a_guest_out_of_sight_is_unknown(kit: DoubleKit, mine: bool) -> None:
    hidden, shown = (kit.guest(n, snapshot_name="ready") for n in (0, 1))
    desired = kit.desired(hidden, shown)
    await made(kit, *([hidden, shown] if mine else [shown]))
    if not mine:
        await kit.make_foreign(hidden.address)
    await kit.double.forget()
    await sees(kit.double, "VM.Audit", f"/vms/{shown.id}")
    plan = await kit.plan(desired)
    (refusal,) = (line for line in plan.refusals if "can't be seen" in line)
    assert refusal.startswith(
        f"{hidden.address} can't be seen: the id is in use, by a guest out of sight: "
        f"{pve.TOKEN} lacks VM.Audit on /vms/{hidden.id}: `pveum role add Phoenix"
    )
    assert plan.changes == ()
    assert writes(await kit.double.asked()) == []
    await kit.double.token(*privileges.BASE)
    if mine:
        await converged(kit, desired)


async def test_a_guest_that_is_not_there_is_not_unknown(kit: DoubleKit) -> None:
    """That its id is free, everybody is told; and it can't be made without being seen."""
    await sees(kit.double, "VM.Audit")
    guest = kit.guest(0)
    plan = await kit.plan(kit.desired(guest))
    assert [change.address for change in plan.changes] == [guest.address]
    assert [line for line in plan.refusals if "can't be seen" in line] == []
    assert any("lacks VM.Audit" in line for line in plan.refusals)


async def test_a_storage_out_of_sight_is_not_missing(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await kit.double.set("acl", {pve.TOKEN: []})
    rest = [each for each in privileges.BASE if not each.startswith("Datastore.")]
    await kit.double.token(*rest)
    await kit.double.token(*privileges.BASE, path="/storage/local")
    plan = await kit.plan(kit.desired(guest))
    told = [line for line in plan.refusals if "local-lvm" in line]
    assert told[0].startswith(
        f"storage/local-lvm can't be seen: {pve.TOKEN} lacks Datastore.Audit on /storage/local-lvm"
    )
    assert [line for line in told if "is not there" in line] == []


async def test_a_bridge_out_of_sight_is_not_missing(kit: DoubleKit) -> None:
    guest = kit.guest(0)
    await sees(kit.double, "SDN.Use")
    plan = await kit.plan(kit.desired(guest))
    told = [line for line in plan.refusals if line.startswith("bridge/")]
    assert told[0].startswith(
        f"bridge/vmbr0 can't be seen: {pve.TOKEN} lacks SDN.Use on "
        "/sdn/zones/localnetwork/vmbr0: `pveum"
    )


async def test_what_is_really_missing_is_told_as_missing(kit: DoubleKit) -> None:
    guest: Guest = replace(kit.guest(0), pool="nowhere")
    desired = kit.desired(guest)
    pool = replace(kit.the_pool(), name="nowhere")
    bridge = replace(kit.the_bridge(), name="vmbr9")
    wanted = replace(desired, pools={pool.address: pool}, bridges={bridge.address: bridge})
    refusals = (await kit.plan(wanted)).refusals
    told = [line for line in refusals if "is not there, and guests use it" in line]
    assert len(told) == 2
    assert any("local-lvm" in line for line in told)
    assert any("there are vmbr0" in line for line in told)


async def test_what_no_node_could_start_is_refused(kit: DoubleKit) -> None:
    guest: Guest = replace(kit.guest(0), cores=5000)
    told = " ".join((await kit.plan(kit.desired(guest))).refusals)
    assert f"{guest.address}: it wants 5000 cores; no node has more than " in told


async def test_a_template_that_is_not_there_is_told_with_those_that_are(kit: DoubleKit) -> None:
    guest: Guest = replace(kit.guest(0), source=Image("gentoo"))
    (told,) = (await kit.plan(kit.desired(guest))).refusals
    assert told.startswith(f"{guest.address}: there is no template “gentoo” on pve1; there are ")
    assert "debian-13-standard" in told
