"""Snapshots on Proxmox VE: storages that only go back to the newest, bind mounts, stand-ins."""

from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import make, must_see, quiet, update
from tests.conformance.variations import differences

from phoenix_hypervisor.drivers.proxmox import snapshots
from phoenix_hypervisor.drivers.proxmox.api.client import path
from phoenix_hypervisor.drivers.proxmox.marks import Tags
from phoenix_hypervisor.model.desired import Mount
from phoenix_hypervisor.model.errors import Conflict, NotFound, Unsupported


async def test_zfs_only_goes_back_to_the_newest(kit: DoubleKit) -> None:
    await kit.double.storage("tank", "zfspool", "rootdir,images", pool="tank/guests")
    guest = kit.guest(0, pool="tank")
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        for name in ("first", "second", "third"):
            await driver.snapshot(guest.address, name, quiet)
        found = {one.name: one.above for one in await driver.snapshots(guest.address)}
        assert found == {"first": ("third", "second"), "second": ("third",), "third": ()}
        with pytest.raises(Conflict, match="newer than first are third, second"):
            await driver.rollback(guest.address, "first", quiet)
        for name in found["first"]:
            await driver.delete_snapshot(guest.address, name, quiet)
        await driver.rollback(guest.address, "first", quiet)


async def test_bind_mounts_are_there_again(kit: DoubleKit) -> None:
    """Proxmox VE keeps none in a snapshot: a guest that started without them would lose data."""
    guest = kit.guest(1, mounts=(Mount(kit.host_folder("kept"), "/srv/kept"),))
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        await driver.snapshot(guest.address, "before", quiet)
        await update(driver, kit, replace(guest, memory_mb=320))
        await driver.rollback(guest.address, "before", quiet)
        back = await must_see(driver, kit, guest)
        assert differences(driver.project(guest), back.fields) == []
        assert back.fingerprint == "one"


async def test_a_storage_that_takes_no_snapshots(kit: DoubleKit) -> None:
    """A guest that rests stands for a template's snapshot; by hand that would be no way back."""
    await kit.double.storage("plain", "dir", "rootdir,images", path="/srv/plain")
    guest = kit.guest(2, pool="plain", snapshot_name="ready")
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        with pytest.raises(Unsupported, match="can't take snapshots"):
            await driver.snapshot(guest.address, "before", quiet, stand_in=False)
        assert list(await driver.snapshots(guest.address)) == []
        await driver.snapshot(guest.address, "ready", quiet)
        (one,) = await driver.snapshots(guest.address)
        assert (one.name, one.fingerprint, one.whole) == ("ready", "one", False)
        with pytest.raises(Unsupported, match="stands itself"):
            await driver.rollback(guest.address, "ready", quiet)
        await driver.delete_snapshot(guest.address, "ready", quiet)
        with pytest.raises(NotFound):
            await driver.delete_snapshot(guest.address, "ready", quiet)


async def test_back_to_before_it_was_taken_over(kit: DoubleKit) -> None:
    guest = kit.guest(3)
    await kit.make_foreign(guest.address)
    async with kit.double.api() as by_hand:
        where = path("nodes", "pve1", "lxc", guest.id, "snapshot")
        await by_hand.run("POST", where, snapname="byhand")
    async with kit.open() as driver:
        await driver.observe(kit.desired(guest))
        await driver.adopt(guest, quiet)
        await driver.mark(guest.address, "configured")
        (one,) = await driver.snapshots(guest.address)
        assert (one.stack, one.whole) == (None, True)
        await driver.rollback(guest.address, "byhand", quiet)
        back = await must_see(driver, kit, guest)
        assert (back.stack, back.complete, back.fingerprint) == (kit.stack, True, None)


def test_which_storages_a_guest_lies_on() -> None:
    config = {
        "rootfs": "local-lvm:vm-1-disk-0,size=8G",
        "mp0": "volume=tank:subvol-1-disk-1,mp=/data",
        "mp1": "/srv/shared,mp=/srv",
        "scsi0": "ceph:vm-1-disk-0",
        "ide2": "none,media=cdrom",
        "net0": "name=eth0,bridge=vmbr0,hwaddr=02:00:00:00:00:01",
        "unused0": "old:vm-1-disk-9",
    }
    assert snapshots.storages(config) == {"local-lvm", "tank", "ceph"}


def test_snapshots_of_one_second_are_told_apart_by_their_parents() -> None:
    rows = [
        {"name": "c", "snaptime": 100, "parent": "b"},
        {"name": "b", "snaptime": 100, "parent": "a"},
        {"name": "a", "snaptime": 100},
        {"name": "z", "snaptime": 50, "snapstate": "delete"},
    ]
    tags = {str(row["name"]): Tags("lab", complete=True) for row in rows}
    found = snapshots.read(rows, tags, ordered=True)
    assert [(one.name, one.above) for one in found] == [
        ("z", ("c", "b", "a")),
        ("a", ("c", "b")),
        ("b", ("c",)),
        ("c", ()),
    ]
    assert [one.whole for one in found] == [False, True, True, True]
