"""Faults: guests that are locked. Phoenix waits for the lock as long as the step may take."""

import asyncio
from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import quiet
from tests.unit.drivers.proxmox.double.worlds import converged, made, only, retries, tried_again

from phoenix_hypervisor.apply import steps
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.event import Report
from phoenix_hypervisor.plan.make import destroy

LOCKS = ("backup", "create", "disk")


async def locked_for_a_while(kit: DoubleKit, desired: Desired, guest: Guest, lock: str) -> Report:
    """Applies while the guest is locked; the lock is taken away when the step was tried twice."""
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        await kit.double.set_guest(guest.id, lock=lock)
        task = asyncio.create_task(kit.walk(plan, desired, driver))
        await tried_again(kit, 2)
        await kit.double.call("unlock", guest.id)
        return await task


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_change_waits_for_the_lock(kit: DoubleKit, lock: str) -> None:
    guest = kit.guest(0)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    report = await locked_for_a_while(kit, desired, guest, lock)
    assert report.ok, report.failed
    assert (
        f"CT {guest.id} is locked" in retries(kit)[0] or f"CT is locked ({lock})" in retries(kit)[0]
    )
    await converged(kit, desired)


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_start_waits_for_the_lock(kit: DoubleKit, lock: str) -> None:
    guest = kit.guest(0)
    desired = await made(kit, guest)
    async with kit.open() as driver:
        await driver.stop(guest.address, quiet)
    report = await locked_for_a_while(kit, desired, guest, lock)
    assert report.ok, report.failed
    assert f"CT is locked ({lock})" in retries(kit)[0]
    await converged(kit, desired)


@pytest.mark.parametrize("lock", ["backup", "disk"])
async def test_a_clone_waits_for_its_source(kit: DoubleKit, lock: str) -> None:
    source = kit.guest(0, snapshot_name="ready")
    clones = [kit.guest(n, source=CloneOf(source.address, "ready")) for n in (1, 2)]
    await made(kit, source)
    desired = kit.desired(source, *clones)
    report = await locked_for_a_while(kit, desired, source, lock)
    assert report.ok, report.failed
    assert f"CT is locked ({lock})" in retries(kit)[0]
    await converged(kit, desired)


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_deletion_waits_for_the_lock(kit: DoubleKit, lock: str) -> None:
    guest = kit.guest(0, volumes=())
    await made(kit, guest)
    async with kit.open() as driver:
        await kit.double.set_guest(guest.id, lock=lock)
        task = asyncio.create_task(_delete(kit, guest))
        await asyncio.sleep(0.3)
        assert not task.done()
        await kit.double.call("unlock", guest.id)
        report = await task
        assert report.ok, report.failed
        assert (await driver.observe(kit.desired())).guests == {}


async def _delete(kit: DoubleKit, guest: Guest) -> Report:
    desired = kit.desired(guest)
    async with kit.open() as driver:
        plan = destroy(desired, await driver.observe(desired), driver, None)
        return await kit.walk(plan, desired, driver)


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_lock_that_stays_is_told(
    kit: DoubleKit, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(steps.LIMITS_S, "update", 0.5)
    guest = kit.guest(0)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    await kit.double.set_guest(guest.id, lock=lock)
    failure = only(await kit.apply(desired=desired))
    assert (failure.address, failure.step) == (guest.address, "update")
    assert failure.message == f"CT is locked ({lock})"
    assert "pct unlock ID" in failure.hint
    left = await kit.double.guest(guest.id)
    assert left is not None
    assert (left["lock"], left["config"]["memory"], left["status"]) == (lock, 256, "running")
    await kit.double.call("unlock", guest.id)
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_short_lock_is_waited_for(kit: DoubleKit) -> None:
    """A `flock` that another request holds: Proxmox VE gives up after ten seconds, Phoenix not."""
    guest = kit.guest(0)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    await kit.double.call("hold_config_lock", guest.id, None)
    walk = asyncio.create_task(kit.apply(desired=desired))
    await tried_again(kit)
    await kit.double.call("release_config_lock", guest.id)
    report = await walk
    assert report.ok, report.failed
    assert "got timeout" in retries(kit)[0]
    await converged(kit, desired)
