"""What the tools tell of disks that the tests' machine can't have: partitions, LVM, real ZFS."""

import json
from typing import Any

from phoenix_hypervisor.host._disks import _owners, _read

NAME = "/dev/disk/by-id/x"


def told(tree: dict[str, Any], *signs: tuple[str, str, str | None], data: int = -1) -> str:
    disk = {"path": "/dev/sdb", "type": "disk", "size": 4000787030016, "ro": False, "serial": "WD1"}
    lines = [
        f"@path {NAME}",
        "@real /dev/sdb",
        f"@tree {json.dumps({'blockdevices': [disk | tree]})}",
    ]
    for device, kind, label in signs:
        found = {"signatures": [{"type": kind, "label": label}] * 2}  # the spare copy too
        lines.append(f"@signs {device} {json.dumps(found)}")
    return "\n".join([*lines, "@signs /dev/sdb ", f"@print {'ab' * 32}  -", f"@data {data}"])


def part(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "type": "part", "mountpoint": None, **more}


def test_an_empty_disk() -> None:
    disk = _read(NAME, told({}), {})
    assert (disk.wrong, disk.holds, disk.content) == ((), (), "")
    assert disk.label == "/dev/sdb, 3.639 TiB (4000787030016 bytes), serial WD1"


def test_signatures_of_partitions_are_told_once() -> None:
    tree = {"children": [part("/dev/sdb1")]}
    signs = (("/dev/sdb1", "ntfs", "Backup"), ("/dev/sdb", "gpt", None), ("/dev/sdb", "PMBR", None))
    disk = _read(NAME, told(tree, *signs, data=0), {})
    assert disk.holds == (
        "ntfs `Backup` on /dev/sdb1",
        "a partition table (gpt)",
        "a partition table (PMBR)",
    )
    assert disk.content.endswith("; print abababababababab")


def test_a_partition_is_something_also_without_a_signature() -> None:
    disk = _read(NAME, told({"children": [part("/dev/sdb1")]}), {})
    assert disk.holds == ("a partition, /dev/sdb1",)


def test_mounts_swap_and_users_of_partitions_are_users_of_the_disk() -> None:
    root = {"path": "/dev/mapper/pve-root", "type": "lvm", "mountpoint": "/"}
    children = [
        part("/dev/sdb1", mountpoint="/boot/efi"),
        part("/dev/sdb2", mountpoint="[SWAP]"),
        part("/dev/sdb3", children=[root]),
    ]
    assert _read(NAME, told({"children": children}), {}).wrong == (
        "/dev/sdb1 is mounted at /boot/efi",
        "/dev/sdb2 is swap that is on",
        "it is used by /dev/mapper/pve-root (lvm)",
        "/dev/mapper/pve-root is mounted at /",
    )


def test_a_partition_read_only_disks_and_those_of_a_pool_are_refused() -> None:
    owners = _owners("@member rpool\t/dev/sdb3\t/dev/sdb\n@guest vm/1\t/dev/sdc\t\n", "@member")
    assert owners == {"/dev/sdb3": "rpool", "/dev/sdb": "rpool"}
    found = _read(NAME, told({"type": "part", "ro": True}), owners)
    assert found.pool == "rpool"
    assert found.wrong == (
        "it is in the imported pool rpool",
        "it is no whole disk, but of the type part",
        "it is read-only",
    )


def test_what_is_not_there_and_what_is_no_disk() -> None:
    assert _read(NAME, "", {}).wrong == ("there is no such disk",)
    assert _read(NAME, "@other", {}).wrong == ("it is no block device",)
