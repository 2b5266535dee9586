"""Backups on Proxmox VE: jobs that stay as the files say, vzdump, and a guest restored apart."""

import asyncio
from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import make, quiet

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.host.backups import PART, job_id
from phoenix_hypervisor.host.part import Choice, Decided
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.desired import Desired, Guest, Host, Mount, Volume
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import Conflict, Denied, Unsupported
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.backups import BackupJob, Backups, Keep

NIGHTLY = BackupJob("nightly", schedule="02:30", storage="vault", keep=Keep(last=2, daily=7))
RIGHTS = (*privileges.BASE, "VM.Backup", "Datastore.Allocate", "Sys.Modify")


async def ready(kit: DoubleKit) -> None:
    await kit.double.token(*RIGHTS)
    await kit.double.storage("vault", "dir", "backup", path="/srv/vault")


def asking(kit: DoubleKit, *jobs: BackupJob, guests: tuple[Guest, ...] = ()) -> Desired:
    setup = HostSetup(backups=Backups(jobs=jobs))
    return replace(kit.desired(*guests), host=Host(setup=setup))


async def decided(driver: Driver, desired: Desired) -> Decided:
    return PART.decide(desired, await PART.look(await driver.node(), desired), Choice())


async def brought(driver: Driver, desired: Desired) -> list[tuple[str, str]]:
    """Does what is to be done; what that was. Afterwards there is nothing left to do."""
    found = await decided(driver, desired)
    assert found.refusals == ()
    for task in found.tasks:
        await PART.make(await driver.node(), task, desired, quiet)
    assert (await decided(driver, desired)).tasks == ()
    return [(task.address, task.action.value) for task in found.tasks]


async def test_jobs_are_made_changed_mended_and_go(kit: DoubleKit) -> None:
    await ready(kit)
    weekly = BackupJob(
        "weekly",
        guests=(lxc(7102), lxc(7101)),
        schedule="sun 03:00",
        storage="vault",
        mode="stop",
        compress="none",
        notes="{{guestname}}",
        enabled=False,
    )
    async with kit.open() as driver:
        both = asking(kit, NIGHTLY, weekly)
        assert await brought(driver, both) == [
            ("backup/nightly", "create"),
            ("backup/weekly", "create"),
        ]
        node = await driver.node()
        # The schedule and what is kept were changed by hand.
        ident = job_id(kit.stack, "nightly")
        by_hand = {"schedule": "04:00", "storage": "vault", "prune-backups": "keep-last=1"}
        await node.send("PUT", f"/cluster/backup/{ident}", all=True, **by_hand)
        (task,) = (await decided(driver, both)).tasks
        assert {one.path: (one.before, one.after) for one in task.fields} == {
            "schedule": ("04:00", "02:30"),
            "keep": ("last 1", "last 2, daily 7"),
        }
        assert await brought(driver, both) == [("backup/nightly", "update")]
        # What the files no longer ask for is taken off, and a job that they don't name goes.
        plain = replace(weekly, guests=None, notes=None)
        assert await brought(driver, asking(kit, plain)) == [
            ("backup/weekly", "update"),
            ("backup/nightly", "delete"),
        ]
        (left,) = await node.get("/cluster/backup")
        assert (left["all"], "vmid" in left, "notes-template" in left) == (1, False, False)


async def test_jobs_of_others_are_left_alone(kit: DoubleKit) -> None:
    await ready(kit)
    async with kit.open() as driver:
        node = await driver.node()
        theirs = {"schedule": "05:00", "storage": "vault", "all": True, "comment": "mine"}
        await node.send("POST", "/cluster/backup", id="backup-1", **theirs)
        assert await brought(driver, asking(kit, NIGHTLY)) == [("backup/nightly", "create")]
        assert await brought(driver, asking(kit)) == [("backup/nightly", "delete")]
        assert [one["id"] for one in await node.get("/cluster/backup")] == ["backup-1"]
        # One that has our id, and not our mark.
        await node.send("POST", "/cluster/backup", id=job_id(kit.stack, "nightly"), **theirs)
        found = await decided(driver, asking(kit, NIGHTLY))
        assert "is there already, and is not of this stack" in found.refusals[0]
        with pytest.raises(Conflict):
            await PART.make(node, found.tasks[0], asking(kit, NIGHTLY), quiet)


async def test_a_job_by_hand_is_none_of_proxmox_ve(kit: DoubleKit) -> None:
    await ready(kit)
    async with kit.open() as driver:
        found = await decided(driver, asking(kit, replace(NIGHTLY, schedule=None)))
        assert found.tasks == ()
        assert "phoenix backup run --job nightly" in found.notes[0]


async def test_a_backup_is_taken_kept_and_restored_apart(kit: DoubleKit) -> None:
    await ready(kit)
    guest = kit.guest(
        0,
        volumes=(Volume("data", "local-lvm", 2, "/srv/data"),),
        mounts=(Mount(kit.host_folder("shared"), "/srv/shared"),),
    )
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        await kit.double.set_guest(guest.id, config={"protection": 1, "onboot": 1})
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        assert list(await store.listed()) == []
        for second in range(3):
            await kit.double.set("clock_s", second * 10)
            made, *gone = await store.take(guest, NIGHTLY, quiet)
            assert made.guest == guest.address
            assert len(gone) == (second == 2)
        kept = await store.listed()
        assert [one.id for one in kept][-1] == made.id
        assert len(kept) == 2

        before = await kit.double.guest(guest.id)
        spare = lxc(9900)
        await store.restore(made, guest, spare, quiet)
        restored = await kit.double.guest(9900)
        assert restored is not None
        config = restored["config"]
        assert [config[key].split(":")[0] for key in ("rootfs", "mp0")] == ["local-lvm"] * 2
        assert "mp=/srv/data" in config["mp0"]
        assert [key for key in config if key.startswith("mp")] == ["mp0"]
        assert "link_down=1" in config["net0"]
        assert before is not None
        assert _mac(config["net0"]) != _mac(before["config"]["net0"])
        assert (config["onboot"], config.get("protection", 0)) == (0, 0)
        assert restored["status"] == "stopped"
        # An apply does not take it for one of the files, and its run could find it again.
        seen = (await driver.observe(kit.desired(guest))).guests[spare]
        assert (seen.stack, seen.complete) == (kit.stack, False)
        assert list(await store.spares()) == [spare]

        await store.start(guest, spare, quiet)
        running = await kit.double.guest(9900)
        assert running is not None
        assert running["status"] == "running"
        await store.discard(spare, quiet)
        await store.discard(spare, quiet)
        assert await kit.double.guest(9900) is None
        assert await kit.double.guest(guest.id) == before
        with pytest.raises(Conflict, match="is no restored backup"):
            await store.discard(guest.address, quiet)


async def test_one_that_is_interrupted_while_it_is_restored_goes_too(kit: DoubleKit) -> None:
    await ready(kit)
    guest = kit.guest(1)
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        made, *_ = await store.take(guest, NIGHTLY, quiet)
        await kit.double.set("ct_secs", {"create": 1000.0})  # a second of ours
        work = asyncio.create_task(store.restore(made, guest, lxc(9900), quiet))
        async with asyncio.timeout(10):
            while await kit.double.guest(9900) is None:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await store.discard(lxc(9900), quiet)
        assert await kit.double.guest(9900) is None


async def test_what_it_may_not_or_can_not(kit: DoubleKit) -> None:
    await kit.double.storage("vault", "dir", "backup", path="/srv/vault")
    guest = kit.guest(2)
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        with pytest.raises(Denied):
            await store.take(guest, NIGHTLY, quiet)
        await kit.double.token(*RIGHTS)
        made, *_ = await store.take(guest, NIGHTLY, quiet)
        machine = replace(guest, kind="vm", address=Address(f"vm/{guest.id}"))
        with pytest.raises(Unsupported, match="without a network"):
            await store.restore(made, machine, Address("vm/9900"), quiet)
        await kit.double.container(9900, "somebody-s")
        with pytest.raises(Conflict):
            await store.restore(made, guest, lxc(9900), quiet)
        assert await kit.double.guest(9900) is not None


def test_ids_fit_into_what_proxmox_ve_takes() -> None:
    assert job_id("home.lab", "nightly") == "phoenix-home-lab-nightly"
    assert len(job_id("x" * 63, "n" * 31)) == 50


def _mac(card: str) -> str:
    return next(part for part in card.split(",") if part.startswith("hwaddr="))
