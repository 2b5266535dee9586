"""A disk that holds data is never written: each attempt ends with the disk as it was, bit by bit.

The headers of LVM, md and LUKS are written as their formats say (LVM2's label with its checksum,
md's version 1.2, LUKS 1); `wipefs` itself must recognise them. All others are made by their tools.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.zfs_lab import MIB, LoopDisk, ZfsNode
from tests.zfs.conftest import Host

_CRC_START = 0xF597A6CF


def _write(disk: LoopDisk, at: int, data: bytes) -> None:
    with Path(disk.device).open("r+b") as device:
        device.seek(at)
        device.write(data)


def ext4(node: ZfsNode, disk: LoopDisk) -> None:
    node.run(f"mkfs.ext4 -q -L letters {disk.device}")


def btrfs(node: ZfsNode, disk: LoopDisk) -> None:
    node.run(f"mkfs.btrfs -q -M -L photos {disk.device}")


def swap(node: ZfsNode, disk: LoopDisk) -> None:
    node.run(f"mkswap {disk.device}")


def gpt(node: ZfsNode, disk: LoopDisk) -> None:
    node.run(f"printf 'label: gpt\\nsize=20M\\n' | sfdisk -q {disk.device}")


def ext4_in_a_partition(node: ZfsNode, disk: LoopDisk) -> None:
    node.run(f"printf 'label: dos\\nstart=2048, size=20M\\n' | sfdisk -q {disk.device}")
    node.run(f"mkfs.ext4 -q -E offset={2048 * 512} {disk.device} 8192")


def lvm(node: ZfsNode, disk: LoopDisk) -> None:
    body = struct.pack("<I8s32s", 32, b"LVM2 001", b"x" * 32)
    body = body.ljust(512 - 20, b"\0")
    crc = zlib.crc32(body, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    _write(disk, 512, struct.pack("<8sQI", b"LABELONE", 1, crc) + body)


def md(node: ZfsNode, disk: LoopDisk) -> None:
    head = struct.pack("<IIII16s32s", 0xA92B4EFC, 1, 0, 0, b"u" * 16, b"tank:0".ljust(32, b"\0"))
    _write(disk, 4096, head.ljust(144, b"\0") + struct.pack("<Q", 8))


def luks(node: ZfsNode, disk: LoopDisk) -> None:
    _write(disk, 0, b"LUKS\xba\xbe\x00\x01".ljust(168, b"\0") + b"0" * 36)


def exported_pool(node: ZfsNode, disk: LoopDisk) -> None:
    node.run(f"zpool create phxtold {disk.path} && zpool export phxtold")


def raw_data_at_the_start(node: ZfsNode, disk: LoopDisk) -> None:
    _write(disk, 300_000, b"no file system, and dear to somebody")


def raw_data_at_the_end(node: ZfsNode, disk: LoopDisk) -> None:
    _write(disk, 72 * MIB - 40, b"a controller's own note")


def raw_data_inside(node: ZfsNode, disk: LoopDisk) -> None:
    _write(disk, 30 * MIB, b"encrypted" * MIB)


KINDS: dict[Callable[[ZfsNode, LoopDisk], None], str] = {
    ext4: "ext4 `letters`",
    btrfs: "btrfs `photos`",
    swap: "swap",
    gpt: "a partition table (gpt)",
    ext4_in_a_partition: "a partition table (dos)",
    lvm: "LVM2_member",
    md: "linux_raid_member",
    luks: "crypto_LUKS",
    exported_pool: "zfs_member `phxtold`",
    raw_data_at_the_start: "data without a signature, at byte 0",
    raw_data_at_the_end: f"data without a signature, at byte {71 * MIB}",
    raw_data_inside: "data without a signature, at byte ",
}


@pytest.fixture
def held(host: Host) -> dict[LoopDisk, str]:
    """A disk with each of them, each in a pool of its own, and what is to be said of it."""
    found = {}
    for fill, said in KINDS.items():
        name = fill.__name__.replace("_", "")
        disk = host.node.disk(name)
        fill(host.node, disk)
        host.pool(f"phxt{name}", "single", disk)
        found[disk] = said
    return found


def test_disks_with_anything_on_them_are_refused_and_not_written(
    host: Host, held: dict[LoopDisk, str]
) -> None:
    empty = host.node.disk("empty")
    host.pool("phxtempty", "single", empty)
    before = {disk: disk.digest() for disk in (*held, empty)}
    said = host.refused()
    for disk, holds in held.items():
        pool = f"zpool/phxt{disk.serial[2:].lower()}"
        label = f"{disk.path} ({disk.device}, 72 MiB, serial {disk.serial})"
        assert f"{pool}: {label} is not empty: {holds}" in said
        assert f"If all of it may be destroyed: --wipe-disks {disk.serial}" in said
    assert said.count("`zpool import` on the node shows whose it is") == 1
    assert {disk: disk.digest() for disk in before} == before
    # Nor does the serial number of another disk help, of those that the files name.
    first, *others = held
    said = host.refused("--wipe-disks", empty.serial, "--wipe-disks", first.serial)
    assert [disk.path for disk in held if f"{disk.path} (" in said] == [d.path for d in others]
    assert {disk: disk.digest() for disk in before} == before
    assert host.node.pools() == []


def test_their_own_serial_numbers_let_them_be_wiped_and_the_plan_says_what_is_lost(
    host: Host, held: dict[LoopDisk, str]
) -> None:
    said = host.apply(*(word for disk in held for word in ("--wipe-disks", disk.serial)))
    for disk, holds in held.items():
        name = disk.serial[2:].lower()
        assert f"create zpool/phxt{name}  destroys data" in said
        assert f"disks.{disk.path}: {holds}" in said
        assert f"phxt{name}" in host.node.pools()
    host.settled()


def test_a_serial_number_that_no_disk_has_is_an_error(host: Host) -> None:
    disk = host.node.disk("held")
    ext4(host.node, disk)
    before = disk.digest()
    host.pool("phxtq", "single", disk)
    said = host.refused("--wipe-disks", "SNHELP")
    assert "--wipe-disks SNHELP: no disk has this serial number; there are SNHELD" in said
    assert disk.digest() == before


def test_the_serial_number_of_a_disk_that_the_files_do_not_name_is_an_error(host: Host) -> None:
    disk, stranger = host.node.disk("new"), host.node.disk("stranger")
    ext4(host.node, stranger)
    before = stranger.digest()
    host.pool("phxtq", "single", disk)
    said = host.refused("--wipe-disks", "SNSTRANGER")
    assert f"--wipe-disks SNSTRANGER: {stranger.device} is in no pool of the files" in said
    assert stranger.digest() == before
    assert host.node.pools() == []


def test_two_disks_with_one_serial_number_are_never_wiped(host: Host) -> None:
    disk, twin = host.node.disk("one", serial="CHEAP"), host.node.disk("two", serial="CHEAP")
    ext4(host.node, disk)
    before = disk.digest(), twin.digest()
    host.pool("phxtq", "single", disk)
    assert "--wipe-disks CHEAP: several disks have it" in host.refused("--wipe-disks", "CHEAP")
    assert (disk.digest(), twin.digest()) == before


def test_a_disk_without_a_serial_number_is_never_wiped(host: Host) -> None:
    disk = host.node.disk("dumb", serial="")
    ext4(host.node, disk)
    before = disk.digest()
    host.pool("phxtq", "single", disk)
    assert "It tells no serial number to name it by" in host.refused()
    assert disk.digest() == before


def test_a_mounted_disk_is_refused_also_with_its_serial_number(host: Host) -> None:
    disk = host.node.disk("held")
    ext4(host.node, disk)
    host.node.run(f"mkdir -p /mnt/held && mount -o ro {disk.device} /mnt/held")
    before = disk.digest()
    host.pool("phxtq", "single", disk)
    said = host.refused("--wipe-disks", "SNHELD")
    assert f"{disk.path} can't be used: {disk.device} is mounted at /mnt/held" in said
    assert disk.digest() == before
    host.node.run("umount /mnt/held")


def test_a_disk_that_is_mounted_where_nobody_sees_it_is_refused(host: Host) -> None:
    disk = host.node.disk("held")
    ext4(host.node, disk)
    host.pool("phxtq", "single", disk)
    hidden = f"unshare -m sh -c 'mount -o ro {disk.device} /mnt; echo in; exec sleep 600'"
    host.node.run(f"{hidden} >/mnt/out 2>&1 & echo $! >/mnt/pid; sleep 0.5; grep in /mnt/out")
    try:
        before = disk.digest()
        said = host.refused("--wipe-disks", "SNHELD")
        assert f"{disk.path} can't be used: somebody uses it (Device or resource busy)" in said
        assert disk.digest() == before
    finally:
        host.node.run("kill $(cat /mnt/pid)")
        host.node.run("sleep 0.2; rm /mnt/out /mnt/pid")


def test_a_disk_of_an_imported_pool_is_refused_also_with_its_serial_number(host: Host) -> None:
    disk = host.node.disk("held")
    host.node.run(f"zpool create phxtold {disk.path}")
    host.node.run("echo dear >/phxtold/letter")
    host.pool("phxtq", "single", disk)
    said = host.refused("--wipe-disks", "SNHELD")
    assert f"{disk.path} can't be used: it is in the imported pool phxtold" in said
    assert host.node.run("cat /phxtold/letter") == "dear\n"


def test_two_names_of_one_disk_are_one_disk(host: Host) -> None:
    disk = host.node.disk("one")
    host.node.run(f"ln -s ../../{Path(disk.device).name} /dev/disk/by-id/phxt-alias")
    alias = LoopDisk("/dev/disk/by-id/phxt-alias", disk.device, disk.serial, disk.file)
    before = disk.digest()
    host.pool("phxtq", "mirror", disk, alias)
    said = host.refused()
    assert f"{disk.path} and {alias.path} are the same disk, {disk.device}" in said
    assert disk.digest() == before
    host.node.run(f"rm {alias.path}")


def test_a_file_and_what_is_not_there_are_no_disks(host: Host) -> None:
    disk = host.node.disk("held")
    before = disk.digest()
    for path, why in (
        (str(disk.file), "it is no block device"),
        ("/dev/disk/by-id/phxt-gone", "there is no such disk"),
    ):
        host.words.pop("zfs", None)
        host.pool("phxtq", "single", LoopDisk(path, "", "", Path()))
        assert f"{path} can't be used: {why}" in host.refused()
    assert disk.digest() == before
