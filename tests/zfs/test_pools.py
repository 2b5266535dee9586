"""Pools of every kind, made for real; those that are there are compared and never rebuilt."""

import pytest
from tests.zfs.conftest import Host


@pytest.mark.parametrize(
    ("level", "count"), [("single", 1), ("mirror", 3), ("raidz1", 3), ("raidz2", 4), ("raidz3", 5)]
)
def test_a_pool_is_made_and_then_nothing_is_left_to_do(host: Host, level: str, count: int) -> None:
    disks = [host.node.disk(f"d{number}") for number in range(count)]
    host.pool("phxtq", level, *disks)
    assert "create zpool/phxtq  live" in host.apply()
    status = host.node.run("zpool status phxtq")
    assert all(disk.path.removeprefix("/dev/") in status for disk in disks)
    assert (f"{level}-0" in status) == (level != "single")
    assert host.node.run("cat /proc/mounts").count("phxtq /phxtq fuse.zfs ") == 1
    host.settled()


def test_several_disks_of_a_single_pool_are_told_and_joined(host: Host) -> None:
    host.pool("phxtq", "single", host.node.disk("one"), host.node.disk("two"))
    done = host.phoenix("apply", "--yes")
    assert "with any one of these 2 disks all data of the pool is lost" in done.stderr
    assert done.returncode == 0
    assert "phxtq" in host.node.pools()
    assert "no changes" in host.plan()


def test_new_pools_are_mounted_below_mount_point_base(host: Host) -> None:
    host.words["mount_point_base"] = "/mnt/pve"
    host.pool("phxtq", "mirror", host.node.disk("one"), host.node.disk("two", size_mib=80))
    host.dataset("phxtq", "models/large")
    host.apply()
    assert host.properties("phxtq/models/large")["mountpoint"] == "/mnt/pve/phxtq/models/large"
    host.settled()


def test_a_pool_of_another_kind_is_refused_and_stays(host: Host) -> None:
    disks = [host.node.disk("one"), host.node.disk("two")]
    host.node.run(f"zpool create phxtq {disks[0].path} {disks[1].path}")
    host.node.run("echo dear >/phxtq/letter")
    host.pool("phxtq", "mirror", *disks)
    assert "zpool/phxtq is single, the files say mirror" in host.refused("--wipe-disks", "SNONE")
    assert host.node.run("cat /phxtq/letter") == "dear\n"


def test_a_pool_with_other_disks_or_a_broken_one_is_told_and_stays(host: Host) -> None:
    one, two, three = (host.node.disk(name) for name in ("one", "two", "three"))
    host.node.run(f"zpool create phxtq mirror {one.path} {two.path}")
    host.node.run(f"zpool offline phxtq {two.path}")
    host.pool("phxtq", "mirror", one, three)
    said = host.plan()
    assert "no changes" in said
    assert f"({three.path} is not in it): left as it is" in said
    assert "zpool/phxtq is DEGRADED: `zpool status phxtq` says why" in said


def test_pools_that_the_files_do_not_name_are_left_alone(host: Host) -> None:
    one, two = host.node.disk("one"), host.node.disk("two")
    host.node.run(f"zpool create phxtother {one.path} && zfs create phxtother/kept")
    host.pool("phxtq", "single", two)
    host.apply()
    host.words["zfs"] = {}
    host.settled()
    assert sorted(host.node.pools()) == ["phxtother", "phxtq"]
    assert host.properties("phxtother/kept")["type"] == "filesystem"


def test_zfs_that_does_not_answer_is_refused_with_the_reason(host: Host) -> None:
    host.pool("phxtq", "single", host.node.disk("one"))
    fake = host.node.folder / "bin" / "zpool"
    fake.write_text("#!/bin/sh\necho 'The ZFS modules are not loaded.' >&2\nexit 1\n")
    fake.chmod(0o755)
    try:
        why = "does not answer on this host: The ZFS modules are not loaded."
        assert why in host.refused()
        planned = host.phoenix("plan")
        assert (planned.returncode, why in planned.stdout) == (1, True)
    finally:
        fake.unlink()


def test_a_mount_point_with_something_in_it_is_refused_and_no_disk_is_wiped(host: Host) -> None:
    disk = host.node.disk("one")
    host.node.run(f"mkfs.ext4 -q {disk.device}; echo dear >/phxtq/letter")
    before = disk.digest()
    host.pool("phxtq", "single", disk)
    assert "zpool/phxtq: /phxtq is not empty: what is mounted there would" in host.refused(
        "--wipe-disks", disk.serial
    )
    assert (disk.digest(), host.node.run("cat /phxtq/letter")) == (before, "dear\n")
    host.node.run("rm /phxtq/letter")
    host.apply("--wipe-disks", disk.serial)


def test_a_disk_that_is_too_small_is_refused(host: Host) -> None:
    host.pool("phxtq", "single", host.node.disk("one", size_mib=63))
    assert "SNONE) is too small: ZFS takes 64 MiB and more" in host.refused()
