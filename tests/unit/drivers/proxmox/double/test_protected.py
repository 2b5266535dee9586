"""A protected container: Proxmox VE lets nobody change its mounts, so it is free for that time."""

from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import quiet
from tests.unit.drivers.proxmox.double.worlds import converged, made

from phoenix_hypervisor.model.desired import Guest, Mount, Volume
from phoenix_hypervisor.model.errors import PhoenixError


def protected(kit: DoubleKit, *folders: str, **words: object) -> Guest:
    mounts = tuple(Mount(kit.host_folder(one), f"/srv/{one}") for one in folders)
    return kit.guest(0, protected=True, mounts=mounts, **words)


async def config(kit: DoubleKit, guest: Guest) -> dict[str, object]:
    found = await kit.double.guest(guest.id)
    assert found is not None
    return dict(found["config"])


async def test_it_is_made_with_its_mounts_and_these_change_later(kit: DoubleKit) -> None:
    volume = Volume("data", "local-lvm", 1, "/srv/data")
    guest = protected(kit, "one", volumes=(volume,))
    await made(kit, guest)
    there = await config(kit, guest)
    assert (there["protection"], str(there["mp1"]).startswith("/")) == (1, True)
    for folders in (("one", "two"), ("two",)):
        wanted = protected(kit, *folders, volumes=(volume,))
        desired = kit.desired(wanted)
        report = await kit.apply(desired=desired)
        assert report.ok, report.failed
        assert str((await config(kit, guest))["protection"]) == "1"
        await converged(kit, desired)
    free = kit.desired(replace(protected(kit, volumes=(volume,)), protected=False))
    assert (await kit.apply(desired=free)).ok
    assert str((await config(kit, guest)).get("protection", 0)) == "0"
    await converged(kit, free)


async def test_its_protection_is_back_when_its_mounts_can_not_be_written(kit: DoubleKit) -> None:
    guest = protected(kit)
    await made(kit, guest)
    gone = kit.guest(0, protected=True, volumes=(Volume("x", "no-such-store", 1, "/srv/x"),))
    async with kit.open() as driver:
        seen = (await driver.observe(kit.desired(guest))).guests[guest.address]
        (change,) = (await kit.plan(kit.desired(gone), driver)).changes
        with pytest.raises(PhoenixError):
            await driver.update(gone, seen, change.fields, quiet)
    assert str((await config(kit, guest))["protection"]) == "1"


async def test_one_that_was_half_made_is_made_anew(kit: DoubleKit) -> None:
    """Also where it was protected already."""
    guest = protected(kit, "one")
    await made(kit, guest)
    there = await config(kit, guest)
    tags = str(there["tags"]).replace(f"phoenix-id.{guest.id}", f"phoenix-id.{guest.id}.new")
    async with kit.double.api() as by_hand:
        await by_hand.put(f"/nodes/pve1/lxc/{guest.id}/config", tags=tags)
    desired = kit.desired(guest)
    report = await kit.apply(desired=desired)
    assert report.ok, report.failed
    await converged(kit, desired)
