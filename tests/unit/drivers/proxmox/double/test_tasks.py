"""Faults: tasks that end in an error, that hang, that are lost with their node."""

import asyncio

import pytest
from tests.conformance.double import TEMPLATE, DoubleKit
from tests.unit.drivers.proxmox.double.worlds import converged, made, only, retries, tasks, until

from phoenix_hypervisor.drivers.proxmox import guests, making
from phoenix_hypervisor.model.desired import CloneOf, Guest

FULL = "unable to create image: No space left on device"


@pytest.mark.parametrize(
    ("kind", "step"), [("vzcreate", "create"), ("vzsnapshot", "snapshot"), ("vzclone", "create")]
)
async def test_a_task_that_ends_in_an_error(kit: DoubleKit, kind: str, step: str) -> None:
    """A full storage, in the middle: told with the way to mend it; the next apply converges."""
    source = kit.guest(0, snapshot_name="ready")
    clone = kit.guest(1, source=CloneOf(source.address, "ready"), snapshot_name="own")
    wanted = [source, clone] if kind == "vzclone" else [source]
    await made(kit, *wanted[:-1])
    desired = kit.desired(*wanted)
    await kit.double.set("task_errors", {kind: FULL})
    failure = only(await kit.apply(desired=desired))
    assert (failure.step, failure.message) == (step, FULL)
    assert "`pvesm status`" in failure.hint
    assert f"TASK ERROR: {FULL}" in failure.detail
    assert retries(kit) == []
    if kind == "vzclone":  # Proxmox VE does it itself at the end of a clone
        await kit.double.call("unlock", source.id)
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_guest_that_can_t_start(kit: DoubleKit) -> None:
    guest = kit.guest(0, volumes=())
    resting = kit.guest(0, snapshot_name="ready")
    await made(kit, resting)
    desired = kit.desired(guest)
    await kit.double.set_guest(guest.id, start_error="startup for container '2000' failed")
    failure = only(await kit.apply(desired=desired))
    assert (failure.step, failure.message) == ("start", "startup for container '2000' failed")
    await kit.double.set_guest(guest.id, start_error=None)
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)
    assert await tasks(kit, "vzdestroy") == []


async def test_a_template_that_vanished(kit: DoubleKit) -> None:
    """Between plan and apply: told with what to do, and nothing is made."""
    desired = kit.desired(kit.guest(0, snapshot_name="ready"))
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.unset("storages", "local")
        await kit.double.storage("local", "dir", "iso,vztmpl,backup", path="/var/lib/vz")
        failure = only(await kit.walk(plan, desired, driver))
    assert failure.message == "there is no template “debian-13-standard” on pve1"
    assert "pveam" in failure.hint
    assert (await kit.double.guests(), await kit.double.tasks()) == ([], [])
    assert "there is no template" in " ".join((await kit.plan(desired)).refusals)


async def test_a_task_that_hangs(kit: DoubleKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with its UPID and left alone; the next apply waits for its end."""
    guest = kit.guest(0, snapshot_name="ready")
    desired = kit.desired(guest)
    monkeypatch.setattr(making, "_MAKE_S", 0.2)
    await kit.double.set("ct_secs", {"create": 1500})  # a second and a half here
    failure = only(await kit.apply(desired=desired))
    (task,) = await kit.double.tasks()
    assert failure.message == (
        f"the task vzcreate {guest.id} has not ended within 0 s; it is still running"
    )
    assert task["upid"] in failure.hint
    assert task["upid"] in failure.detail
    assert task["status"] == "running"
    monkeypatch.setattr(making, "_MAKE_S", 30.0)
    await kit.double.set("ct_secs", {"create": 0})
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_shutdown_that_hangs(kit: DoubleKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time it is stopped hard."""
    guest = kit.guest(0)
    await made(kit, guest)
    await kit.double.set_guest(guest.id, shutdown_secs=100_000)
    monkeypatch.setattr(guests, "_SHUTDOWN_S", 100)
    resting = kit.desired(kit.guest(0, snapshot_name="ready"))
    assert (await kit.apply(desired=resting)).ok
    assert await tasks(kit, "vzshutdown") == ["container did not stop"]
    assert await tasks(kit, "vzstop") == ["OK"]
    await converged(kit, resting)


async def test_a_node_that_reboots_in_the_middle(kit: DoubleKit) -> None:
    """Its tasks vanish and the API is away for a time: told, and the next apply converges."""
    wanted = [kit.guest(n, snapshot_name="ready") for n in (0, 1)]
    desired = kit.desired(*wanted)
    await kit.double.set("ct_secs", {"create": 600})
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        walk = asyncio.create_task(kit.walk(plan, desired, driver))
        await creating(kit, *wanted)
        await kit.double.call("flaky_network", drop_rate=1.0)
        for task in await kit.double.tasks():
            await kit.double.do("forget_task", upid=task["upid"])
        await kit.double.set("ct_secs", {"create": 0})
        await asyncio.sleep(0.7)
        await kit.double.call("flaky_network", drop_rate=0.0)
        report = await walk
    if not report.ok:
        assert {failure.step for failure in report.failed} == {"create"}
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


@pytest.mark.parametrize("who", ["a person", "another guest's task"])
async def test_a_making_that_broke_off(kit: DoubleKit, who: str) -> None:
    """A guest with the lock of its making, whose task is no more: ours is removed; others' stay."""
    guest = kit.guest(0, snapshot_name="ready")
    desired = kit.desired(guest)
    await kit.double.set("task_errors", {"vzcreate": "interrupted by signal"})
    if who == "a person":
        async with kit.double.api() as by_hand:
            await by_hand.post(
                "/nodes/pve1/lxc", vmid=guest.id, ostemplate=f"local:vztmpl/{TEMPLATE}",
                rootfs="local-lvm:1",
            )  # fmt: skip
        plan = await kit.plan(desired)
        assert len(plan.refusals) == 1
        assert f"{guest.address}: the id is taken" in plan.refusals[0]
        left = await kit.double.guest(guest.id)
        assert left is not None
        assert left["lock"] == "create"
        return
    report = await kit.apply(desired=desired)
    if not report.ok:
        report = await kit.apply(desired=desired)
    assert report.ok, report.failed
    await converged(kit, desired)


async def creating(kit: DoubleKit, *wanted: Guest) -> None:
    """Waits until these guests are being made."""

    async def begun() -> bool:
        return len(await kit.double.tasks()) >= len(wanted)

    await until(begun)
