"""Shared folders: whose ids they hold, and that nothing in them is ever moved."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.shell_node import ShellNode
from phoenix_hypervisor.host.part import Choice, Seen, Task
from phoenix_hypervisor.host.volumes import PART, Shift, wanted_fields
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired, Guest, Host, IdMap, Image, Mount
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.storage import Storage, ZfsDataset, ZfsPool
from phoenix_hypervisor.model.host.volumes import SharedFolder, Volumes

RANGES = Shift(by_range=True, uid=100_000, gid=100_000)
SAME = Shift(by_range=False)
MAPPED = (IdMap("both", 4_000, 1_000),)  # its user 1000 is the host's 4000
HERE = "phoenix-unit-volumes"


def folder(path: str = "/tank/media", **words: object) -> SharedFolder:
    return SharedFolder("media", path, (lxc(101), lxc(102)), **words)  # type: ignore[arg-type]


def desired(shared: SharedFolder, storage: Storage | None = None) -> Desired:
    guests = {
        lxc(ident): Guest(
            address=lxc(ident),
            kind="lxc",
            id=ident,
            name=f"g{ident}",
            source=Image("debian-13"),
            memory_mb=256,
            cores=1,
            mounts=(Mount(shared.path, "/media"),),
            id_maps=maps,
        )
        for ident, maps in ((101, ()), (102, MAPPED))
    }
    setup = HostSetup(volumes=Volumes((shared,)), storage=storage or Storage())
    return Desired(Path("/nowhere"), HERE, host=Host(setup=setup), guests=guests)


def decide(
    shared: SharedFolder, thing: dict[str, object] | None = None, **more: object
) -> list[Task]:
    seen = Seen(
        {shared.address: thing or {}},  # type: ignore[dict-item]
        facts={"by_range": True, "uid_base": 100_000, "gid_base": 100_000},
    )
    return list(PART.decide(desired(shared, **more), seen, Choice()).tasks)  # type: ignore[arg-type]


def test_each_guests_ids_are_the_hosts_own_and_all_of_them_may_write() -> None:
    shared = folder(uid=1_000, gid=1_000, mode="0770", writers=(33,))
    assert wanted_fields(shared, desired(shared), RANGES, new=True) == {
        "path": "/tank/media",
        "owner": "101000:101000",
        "writers": "4000, 100033, 101000",
        "mode": "0770",
    }


def test_where_mounts_are_shifted_the_ids_are_those_of_the_guests() -> None:
    shared = folder(uid=1_000, gid=100, mode="0700", writers=(0, 33))
    assert wanted_fields(shared, desired(shared), SAME, new=True) == {
        "path": "/tank/media",
        "owner": "1000:100",
        "writers": "33, 1000",
        "mode": "0770",
    }
    alone = folder(uid=1_000, gid=100, mode="0700")
    assert wanted_fields(alone, desired(alone), SAME, new=False)["writers"] is None


def test_one_that_is_there_keeps_what_nobody_asks_for() -> None:
    there: dict[str, object] = {
        "kind": "folder",
        "owner": "0:0",
        "mode": "0755",
        "path": "/tank/media",
    }
    assert decide(folder(), there) == []
    seen = Seen(
        {folder().address: there},  # type: ignore[dict-item]
        facts={"by_range": True, "uid_base": 100_000, "gid_base": 100_000},
    )
    (note,) = PART.decide(desired(folder()), seen, Choice()).notes
    assert "belongs to the host's user 0" in note
    assert "lxc/101, lxc/102" in note


def test_another_path_is_told_with_what_stays_behind() -> None:
    there: dict[str, object] = {
        "kind": "folder",
        "owner": "100000:100000",
        "mode": "0755",
        "path": "/old",
        "old_entries": 1,
        "entries": 1_000,
    }
    (task,) = decide(folder(), there)
    assert task.action is Action.UPDATE
    assert task.reason == (
        "another folder: nothing is moved; /old stays, with 1 entry in it; "
        "/tank/media has at least 1000 entries in it"
    )


def test_what_is_no_folder_is_refused() -> None:
    for thing, why in (
        ({"kind": "other"}, "is there and is no folder"),
        ({"kind": "folder", "leads_to": "/etc"}, "leads to /etc"),
    ):
        seen = Seen({folder().address: thing}, facts={"by_range": False})
        decided = PART.decide(desired(folder()), seen, Choice())
        assert decided.tasks == ()
        assert why in decided.refusals[0]


def test_it_waits_for_the_dataset_that_it_lies_on() -> None:
    storage = Storage(
        pools=(ZfsPool("tank", "single", ("/dev/x",)),),
        datasets=(
            ZfsDataset("tank", "media"),
            ZfsDataset("tank", "med"),
            ZfsDataset("tank", "vm", {"mountpoint": "/tank/media/deep"}),
        ),
    )
    (task,) = decide(folder(), storage=storage)
    assert task.after == (Address("dataset/tank/media"),)


class PveNode(ShellNode):
    """This machine, with the ids that a node of Proxmox VE gives to its guests."""

    is_pve = True


@pytest.fixture
async def node() -> AsyncIterator[PveNode]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it gives folders to other users")
    made = PveNode("here", ("sh",))
    yield made
    await made.close()
    shutil.rmtree(f"/var/lib/phoenix/volumes/{HERE}", ignore_errors=True)


def write_as(uid: int, path: Path, gid: int = 65_534) -> bool:
    """Whether this user of the host can add to the file."""
    words = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    done = subprocess.run(
        [*words, "sh", "-c", f"echo x >>{path}"], check=False, capture_output=True
    )
    return done.returncode == 0


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that other users come to, which pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


async def test_all_mapped_ids_write_for_real(node: PveNode, open_path: Path) -> None:
    place = open_path / "it's media"
    shared = folder(str(place), uid=1_000, gid=1_000, mode="0770")
    wanted = desired(shared)
    seen = await PART.look(node, wanted)
    first = int(str(seen.facts["uid_base"]))  # as /etc/subuid has it
    (task,) = PART.decide(wanted, seen, Choice()).tasks
    assert (task.action, task.reason) == (Action.CREATE, "it is not there")
    await PART.make(node, task, wanted, lambda _: None)
    assert PART.decide(wanted, await PART.look(node, wanted), Choice()).tasks == ()

    plain = place.rename(open_path / "plain")  # a name that this test's own shell can take
    assert write_as(first + 1_000, plain / "first")
    assert write_as(4_000, plain / "first")
    assert write_as(4_000, plain / "second")
    assert write_as(first + 1_000, plain / "second")
    assert not write_as(first, plain / "third")
    assert not write_as(4_001, plain / "second")
    plain.rename(place)

    # Who is no writer any more can't write any more; what is there stays.
    alone = folder(str(place), uid=1_000, gid=1_000, mode="0770")
    other = desired(SharedFolder("media", alone.path, (lxc(101),), 1_000, 1_000, "0770"))
    (task,) = PART.decide(other, await PART.look(node, other), Choice()).tasks
    assert [one.path for one in task.fields] == ["writers"]
    await PART.make(node, task, other, lambda _: None)
    assert PART.decide(other, await PART.look(node, other), Choice()).tasks == ()
    place.rename(plain)
    assert not write_as(4_000, plain / "third")
    assert write_as(first + 1_000, plain / "third")


async def test_a_link_on_the_way_is_not_followed(node: PveNode, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    shared = folder(str(tmp_path / "link" / "media"), uid=0, gid=0)
    decided = PART.decide(desired(shared), await PART.look(node, desired(shared)), Choice())
    assert decided.tasks == ()
    assert f"leads to {tmp_path}/real/media" in decided.refusals[0]
