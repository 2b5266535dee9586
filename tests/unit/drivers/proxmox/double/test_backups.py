"""Backups on Proxmox VE: jobs that stay as the files say, vzdump, and a guest restored apart."""

import asyncio
from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit
from tests.conformance.steps import make, quiet
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.host.backups import PART, job_id
from phoenix_hypervisor.host.part import Choice, Decided
from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.desired import Desired, Guest, Host, Mount, Volume
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    NotFound,
    TimedOut,
    Unreachable,
)
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.backups import BackupJob, Backups, Keep
from phoenix_hypervisor.model.secret import Secret

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


@pytest.mark.parametrize("as_root", [False, True], ids=["token", "root"])
async def test_a_restored_one_has_no_way_out_and_nothing_of_the_original(
    kit: DoubleKit, as_root: bool
) -> None:
    """Also not by what the API can't take off: raw options of LXC, which root restores too."""
    await ready(kit)
    if as_root:
        kit = by_ticket(kit)
    guest = kit.guest(4)
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        there = await kit.double.guest(guest.id)
        assert there is not None
        odd = {
            "hookscript": "local:snippets/hook.sh",
            "dev0": "/dev/dri/renderD128,gid=104",
            "mp0": "/srv/theirs,mp=/srv/theirs",
            "mp1": "local-lvm:vm-2999-disk-0,mp=/srv/more,size=1G",
            "startup": "order=1",
            "onboot": 1,
            "protection": 1,
            "features": "nesting=1",
            "lxc": [
                ["lxc.mount.entry", "/srv/theirs srv/raw none bind,create=dir 0 0"],
                ["lxc.environment", "ROLE=shop"],
                ["lxc.hook.pre-start", "/srv/hook"],
                ["lxc.net.1.type", "phys"],
            ],
        }
        await kit.double.set_guest(guest.id, config=odd)
        before = await kit.double.guest(guest.id)
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        made, *_ = await store.take(guest, NIGHTLY, quiet)
        told: list[str] = []
        spare = lxc(9900)
        await store.restore(made, guest, spare, told.append)
        restored = await kit.double.guest(9900)
        assert restored is not None
        config = restored["config"]
        assert {"hookscript", "dev0", "mp0", "startup"} & set(config) == set()
        assert config["mp1"].startswith("local-lvm:vm-9900-")
        assert str(config.get("features")) == "nesting=1"
        assert config.get("lxc", []) == ([["lxc.environment", "ROLE=shop"]] if as_root else [])
        (line,) = [one for one in told if one.startswith("it goes without")]
        raw = ", lxc.mount.entry, lxc.hook.pre-start, lxc.net.1.type" if as_root else ""
        assert line == f"it goes without dev0, hookscript, startup{raw}"
        await store.start(guest, spare, quiet)
        await store.discard(spare, quiet)
        assert await kit.double.guest(9900) is None
        assert await kit.double.guest(guest.id) == before


async def test_a_virtual_machine_is_restored_apart_and_asked_by_its_agent(kit: DoubleKit) -> None:
    await ready(kit)
    await kit.double.token(*RIGHTS, "VM.GuestAgent.Unrestricted")
    vmid = kit.id(6)
    guest = replace(kit.guest(6), kind="vm", address=vm(vmid), agent=True)
    odd = {
        "name": "box",
        "memory": 512,
        "agent": "enabled=1",
        "tags": f"phoenix-id.{vmid};phoenix.{kit.stack}",
        "boot": "order=scsi0",
        "scsi0": f"local-lvm:vm-{vmid}-disk-0,discard=on,size=2G",
        "scsi2": "/dev/disk/by-id/theirs,backup=0,size=2G",
        "scsi3": "local-lvm:vm-2999-disk-1,backup=0",
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
        "serial0": "socket",
        "serial1": "/dev/ttyS0",
        "hostpci0": "0000:01:00.0",
        "usb0": "host=1-1",
        "ivshmem": "size=1,name=shared",
        "hookscript": "local:snippets/hook.sh",
        "args": "-device ivshmem-plain",
        "onboot": 1,
        "protection": 1,
        "startup": "order=1",
    }
    await kit.double.machine(vmid, "box", node="pve1", status="running", config=odd)
    before = await kit.double.guest(vmid)
    assert before is not None
    spare = vm(9900)
    async with kit.open() as driver:
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        made, *_ = await store.take(guest, NIGHTLY, quiet)
        assert made.guest == guest.address
        told: list[str] = []
        await store.restore(made, guest, spare, told.append)
        restored = await kit.double.guest(9900)
        assert restored is not None
        config = restored["config"]
        assert config["scsi0"].startswith("local-lvm:vm-9900-")
        numbered = {key for key in config if key[-1].isdigit()}
        assert numbered == {"scsi0", "net0", "serial0", "smbios1"}
        assert "link_down=1" in config["net0"]
        assert "BC:24:11:00:00:01" not in config["net0"]
        assert {"args", "hookscript", "ivshmem", "startup"} & set(config) == set()
        assert "it goes without args, hookscript, hostpci0, ivshmem, scsi2" in "".join(told)
        assert list(await store.spares()) == [spare]

        await kit.double.set_guest(9900, agent={})
        await store.start(guest, spare, quiet)
        run = store.inside_of(spare)
        assert run is not None
        assert await run("cat; echo no >&2; exit 3", 5, b"a word") == Said(3, "a word", "no\n")
        with pytest.raises(TimedOut):
            await run("sleep 20", 0.5, b"")
        await store.discard(spare, quiet)
        assert await kit.double.guest(9900) is None
        after = await kit.double.guest(vmid)
        assert after is not None
        assert after["config"] == before["config"]
        assert store.inside_of(lxc(9900)) is None


async def test_a_machine_whose_documents_are_gone_is_not_told_as_a_bad_backup(
    kit: DoubleKit,
) -> None:
    """Snippets are in no backup, and a guest that was replaced has others."""
    await ready(kit)
    await kit.double.storage("notes", "dir", "snippets", path="/srv/notes")
    await kit.double.call("store_file", "notes", "meta.yaml", 10, content="snippets")
    vmid = kit.id(7)
    guest = replace(kit.guest(7), kind="vm", address=vm(vmid))
    config = {
        "tags": f"phoenix-id.{vmid};phoenix.{kit.stack}",
        "cicustom": "meta=notes:snippets/meta.yaml,user=notes:snippets/user.yaml",
        "scsi0": f"local-lvm:vm-{vmid}-disk-0,size=2G",
    }
    await kit.double.machine(vmid, "box", node="pve1", config=config)
    why = "can't open '/srv/notes/snippets/user.yaml' - No such file or directory"
    spare = vm(9900)
    async with kit.open() as driver:
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        made, *_ = await store.take(guest, NIGHTLY, quiet)
        await store.restore(made, guest, spare, quiet)
        await kit.double.set_guest(9900, start_error=why)
        with pytest.raises(NotFound) as caught:
            await store.start(guest, spare, quiet)
        assert "names notes:snippets/user.yaml, which Proxmox VE does not" in caught.value.message
        assert why in caught.value.message
        assert "meta.yaml" not in caught.value.message
        # Where they are there, another reason stays what it was.
        await kit.double.call("store_file", "notes", "user.yaml", 10, content="snippets")
        with pytest.raises(DriverError) as other:
            await store.start(guest, spare, quiet)
        assert "notes:snippets" not in other.value.message
        await store.discard(spare, quiet)


async def test_one_that_can_not_be_cut_off_is_not_restored_to_run(kit: DoubleKit) -> None:
    """Nobody can take a hook off without a root shell: it is told, and the guest goes again."""
    await ready(kit)
    guest = kit.guest(5)
    nowhere = replace(kit, environ={**kit.environ, "PHOENIX_NODE_SHELL": "false"})
    async with kit.open() as driver:
        await make(driver, kit, guest, "one")
        await kit.double.set_guest(guest.id, config={"hookscript": "local:snippets/hook.sh"})
    async with nowhere.open() as driver:
        store = driver.backups(Backups(jobs=(NIGHTLY,)))
        made, *_ = await store.take(guest, NIGHTLY, quiet)
        with pytest.raises(Unreachable):
            await store.restore(made, guest, lxc(9900), quiet)
        assert list(await store.spares()) == [lxc(9900)]
        await store.discard(lxc(9900), quiet)
        assert await kit.double.guest(9900) is None


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
        await kit.double.container(9900, "somebody-s")
        with pytest.raises(Conflict):
            await store.restore(made, guest, lxc(9900), quiet)
        assert await kit.double.guest(9900) is not None


def test_ids_fit_into_what_proxmox_ve_takes() -> None:
    assert job_id("home.lab", "nightly") == "phoenix-home-lab-nightly"
    assert len(job_id("x" * 63, "n" * 31)) == 50


def by_ticket(kit: DoubleKit) -> DoubleKit:
    """Logged in as root@pam himself."""
    target = replace(
        kit.target,
        token_id=None,
        token_secret=None,
        username="root@pam",
        password=Secret(name="PW"),
    )
    return replace(kit, target=target, environ={**kit.environ, "PW": pve.PASSWORD})


def _mac(card: str) -> str:
    return next(part for part in card.split(",") if part.startswith("hwaddr="))
