"""The world moves between plan and apply: what is written is only what was shown, or nothing."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.support.zfs_lab import MIB, LoopDisk
from tests.zfs.conftest import Host

from phoenix_hypervisor.drivers import shell_node
from phoenix_hypervisor.drivers.shell_node import ShellNode
from phoenix_hypervisor.host import zfs_datasets
from phoenix_hypervisor.host.part import Choice, Task
from phoenix_hypervisor.host.zfs_pools import PART
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.desired import Host as HostWords
from phoenix_hypervisor.model.errors import Conflict, DriverError
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.storage import RaidLevel, Storage, ZfsDataset, ZfsPool


@pytest.fixture
async def node(host: Host) -> AsyncIterator[ShellNode]:
    found = shell_node.of({}, {"PHOENIX_NODE_SHELL": host.node.shell})
    yield found
    await found.close()


def wants(*disks: LoopDisk) -> Desired:
    level: RaidLevel = "mirror" if len(disks) > 1 else "single"
    pool = ZfsPool("phxtq", level, tuple(disk.path for disk in disks))
    storage = Storage(pools=(pool,))
    return Desired(Path(), "s", host=HostWords(setup=HostSetup(storage=storage)))


async def decided(node: ShellNode, desired: Desired, *wipe: str) -> Sequence[Task]:
    choice = Choice(wipe=frozenset(wipe))
    found = PART.decide(desired, await PART.look(node, desired), choice)
    assert found.refusals == ()
    return found.tasks


def write(disk: LoopDisk, at: int, data: bytes) -> None:
    with Path(disk.device).open("r+b") as device:
        device.seek(at)
        device.write(data)


def quiet(words: str) -> None:
    del words


async def test_a_disk_that_got_data_since_the_plan_is_not_written(
    host: Host, node: ShellNode
) -> None:
    disk, other = host.node.disk("one"), host.node.disk("two")
    desired = wants(disk, other)
    (task,) = await decided(node, desired)
    host.node.run(f"mkfs.ext4 -q {other.device}")
    before = disk.digest(), other.digest()
    with pytest.raises(Conflict, match="is no longer what the plan showed: ext4"):
        await PART.make(node, task, desired, quiet)
    assert (disk.digest(), other.digest()) == before
    assert host.node.pools() == []


async def test_a_named_disk_with_other_data_than_shown_is_not_wiped(
    host: Host, node: ShellNode
) -> None:
    disk = host.node.disk("one")
    host.node.run(f"mkfs.ext4 -q -L old {disk.device}")
    desired = wants(disk)
    (task,) = await decided(node, desired, "SNONE")
    write(disk, 72 * MIB // 64 * 9, b"a new letter")  # the same file system, with more in it
    before = disk.digest()
    with pytest.raises(Conflict, match="no longer what the plan showed"):
        await PART.make(node, task, desired, quiet)
    assert disk.digest() == before


async def test_another_disk_under_the_same_name_is_not_written(host: Host, node: ShellNode) -> None:
    disk, other = host.node.disk("one"), host.node.disk("two")
    desired = wants(disk)
    (task,) = await decided(node, desired)
    host.node.run(f"ln -sfn ../../{Path(other.device).name} {disk.path}")
    before = disk.digest(), other.digest()
    with pytest.raises(Conflict, match="serial SNTWO"):
        await PART.make(node, task, desired, quiet)
    assert (disk.digest(), other.digest()) == before


async def test_a_pool_that_somebody_made_meanwhile_is_left_alone(
    host: Host, node: ShellNode
) -> None:
    disk, other = host.node.disk("one"), host.node.disk("two")
    desired = wants(disk)
    (task,) = await decided(node, desired)
    host.node.run(f"zpool create phxtq {other.path} && echo dear >/phxtq/letter")
    before = disk.digest()
    with pytest.raises(Conflict, match="the pool phxtq is there now"):
        await PART.make(node, task, desired, quiet)
    assert host.node.run("cat /phxtq/letter") == "dear\n"
    assert disk.digest() == before


async def test_what_came_into_the_mount_point_meanwhile_spares_the_disk(
    host: Host, node: ShellNode
) -> None:
    disk = host.node.disk("one")
    host.node.run(f"mkfs.ext4 -q {disk.device}")
    desired = wants(disk)
    (task,) = await decided(node, desired, disk.serial)
    host.node.run("echo dear >/phxtq/letter")
    before = disk.digest()
    with pytest.raises(Conflict, match="/phxtq is not empty"):
        await PART.make(node, task, desired, quiet)
    assert disk.digest() == before
    host.node.run("rm /phxtq/letter")
    await PART.make(node, task, desired, quiet)
    assert host.node.pools() == ["phxtq"]


async def test_what_zpool_refuses_is_refused_before_a_disk_is_wiped(
    host: Host, node: ShellNode
) -> None:
    disk = host.node.disk("one")
    host.node.run(f"mkfs.ext4 -q {disk.device}")
    pool = ZfsPool("phxtq", "mirror", (disk.path,))  # of one disk
    desired = Desired(Path(), "s", host=HostWords(setup=HostSetup(storage=Storage((pool,)))))
    (task,) = await decided(node, desired, disk.serial)
    before = disk.digest()
    with pytest.raises(DriverError, match="mirror requires at least 2 devices"):
        await PART.make(node, task, desired, quiet)
    assert disk.digest() == before


async def test_a_disk_that_a_guest_was_given_meanwhile_is_not_written(
    host: Host, node: ShellNode
) -> None:
    disk = host.node.disk("one")
    desired = wants(disk)
    (task,) = await decided(node, desired)
    host.node.run(f"echo 'scsi1: {disk.path}' >/etc/pve/qemu-server/100.conf")
    before = disk.digest()
    with pytest.raises(Conflict, match="it is given to vm/100"):
        await PART.make(node, task, desired, quiet)
    assert disk.digest() == before
    host.node.run("rm /etc/pve/qemu-server/100.conf")


async def test_what_came_into_the_folder_of_a_dataset_meanwhile_is_not_hidden(
    host: Host, node: ShellNode
) -> None:
    disk = host.node.disk("one")
    host.node.run(f"zpool create phxtq {disk.path}")
    storage = Storage(datasets=(ZfsDataset("phxtq", "data"),))
    desired = Desired(Path(), "s", host=HostWords(setup=HostSetup(storage=storage)))
    seen = await zfs_datasets.PART.look(node, desired)
    (task,) = zfs_datasets.PART.decide(desired, seen, Choice()).tasks
    host.node.run("mkdir /phxtq/data; echo dear >/phxtq/data/letter")
    with pytest.raises(Conflict, match="/phxtq/data is not empty"):
        await zfs_datasets.PART.make(node, task, desired, quiet)
    assert host.node.run("cat /phxtq/data/letter") == "dear\n"
    assert host.node.run("zfs list -H -o name").split() == ["phxtq"]
