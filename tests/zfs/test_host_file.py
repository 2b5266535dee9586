"""A whole host file: two pools, eleven datasets, ARC and Proxmox VE's storages on them.

Pools and datasets are real ones of zfs-fuse, the storages those of the tests' double of Proxmox VE.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import pve
from tests.zfs.conftest import Host

DATASETS: tuple[tuple[str, str, str, str, str], ...] = (
    ("quickOS", "vm-disks", "recordsize=128K,compression=lz4,sync=standard,quota=20M",
     "zfspool", "images"),
    ("quickOS", "lxc-disks", "recordsize=16K,compression=lz4,sync=standard,quota=20M",
     "zfspool", "images,rootdir"),
    ("quickOS", "shared-prod-data", "recordsize=128K,compression=lz4,sync=standard,quota=12M",
     "dir", "images,rootdir"),
    ("quickOS", "shared-prod-data-sync", "recordsize=16K,compression=lz4,sync=always,quota=4M",
     "dir", "images,rootdir"),
    ("quickOS", "ssl", "recordsize=16K,quota=1M", "", ""),
    ("fastData", "shared-test-data", "recordsize=128K,compression=lz4,quota=4M", "dir", "images"),
    ("fastData", "shared-backups", "recordsize=1M,compression=zstd,quota=6M", "dir", "backup"),
    ("fastData", "shared-iso", "recordsize=1M,compression=lz4,quota=4M", "dir", "iso,vztmpl"),
    ("fastData", "shared-bulk-data", "recordsize=1M,compression=lz4,quota=1.4M", "", ""),
    ("fastData", "models", "recordsize=1M,compression=lz4,atime=off,quota=8M", "dir", "snippets"),
    ("fastData", "models/llm", "recordsize=1M,compression=off,quota=6M", "", ""),
)  # fmt: skip
GIB = 2**30


@pytest.fixture(scope="module")
def double() -> Iterator[pve.Pve]:
    with pve.started(time_scale=0.001) as found:
        asyncio.run(found.token(*pve.PRIVILEGES, "Datastore.Allocate"))
        yield found


@pytest.fixture
def on_pve(host: Host, double: pve.Pve) -> Host:
    host.words["hypervisor"] = {
        "driver": "proxmox",
        "endpoint": double.url,
        "node": "pve1",
        "token_id": pve.TOKEN,
        "token_secret": {"secret": "PVE_TOKEN"},
        "ca_file": double.ca_file,
    }
    host.environ = {"PVE_TOKEN": pve.TOKEN_SECRET}
    host.pool("quickOS", "mirror", host.node.disk("nvme1"), host.node.disk("nvme2"))
    host.pool("fastData", "single", host.node.disk("nvme3"))
    for pool, name, properties, kind, content in DATASETS:
        more = {"proxmox_storage_type": kind, "proxmox_content_type": content} if kind else {}
        host.dataset(pool, name, properties, storage_class="direct", **more)
    host.words["zfs"]["arc_max_gb"] = 1.5
    host.words["mount_point_base"] = "/mnt/pve"
    return host


def storages(double: pve.Pve) -> dict[str, dict[str, Any]]:
    async def ask() -> Any:
        async with double.api() as api:
            return await api.get("/storage")

    return {one["storage"]: one for one in asyncio.run(ask())}


def test_the_whole_file_is_planned_applied_and_then_nothing_is_left(
    on_pve: Host, double: pve.Pve
) -> None:
    host, before = on_pve, storages(double)
    conf = "/etc/modprobe.d/zfs.conf"
    host.node.run(f"echo 'options zfs zfs_arc_min=1 zfs_arc_max=7 zfs_txg_timeout=9' >{conf}")
    planned = host.phoenix("plan", "--detailed-exitcode")
    assert planned.returncode == 2, planned.stdout + planned.stderr
    assert "21 to create, 1 to update" in planned.stdout
    host.apply()
    host.settled()

    assert sorted(host.node.pools()) == ["fastData", "quickOS"]
    found = host.properties("fastData/models")
    assert (found["quota"], found["recordsize"]) == (str(8 * 2**20), str(2**20))
    assert found["mountpoint"] == "/mnt/pve/fastData/models"
    arc = "options zfs zfs_arc_min=1 zfs_arc_max=1610612736 zfs_txg_timeout=9\n"
    assert host.node.run(f"cat {conf}") == arc
    module = "cat /sys/module/zfs/parameters/zfs_arc_max"
    assert host.node.run(module) == f"{GIB * 3 // 2}\n"

    made = {name: one for name, one in storages(double).items() if name not in before}
    assert len(made) == 8
    lxc, iso = made["quickOS-lxc-disks"], made["fastData-shared-iso"]
    assert (lxc["type"], lxc["pool"]) == ("zfspool", "quickOS/lxc-disks")
    assert sorted(lxc["content"].split(",")) == ["images", "rootdir"]
    assert (iso["type"], iso["path"]) == ("dir", "/mnt/pve/fastData/shared-iso")
    assert str(iso["is_mountpoint"]) in {"1", "yes"}

    # Every part drifts at once, and is found and mended.
    async def by_hand() -> None:
        async with double.api() as api:
            await api.run("PUT", "/storage/fastData-shared-iso", content="iso")
            await api.run("DELETE", "/storage/quickOS-vm-disks")

    asyncio.run(by_hand())
    host.node.run("zfs set quota=9M fastData/models; zfs set sync=disabled quickOS/vm-disks")
    host.node.run("echo 12345 >/sys/module/zfs/parameters/zfs_arc_max")
    said = host.apply()
    for told in (
        "quota: 9 MiB → 8 MiB",
        "sync: disabled → standard",
        "content: iso → iso,vztmpl",
        "create storage/quickOS-vm-disks",
        "now: 12.06 KiB (12345 bytes) → 1.5 GiB",
        "4 to update, 1 to create",
    ):
        assert told in said, said
    host.settled()
    assert host.node.run(module) == f"{GIB * 3 // 2}\n"

    # What can't be changed is refused.
    host.words["zfs"]["datasets"][0]["proxmox_storage_type"] = "dir"
    assert "storage/quickOS-vm-disks: its type is zfspool, the files say dir" in host.refused()
    assert storages(double)["quickOS-vm-disks"]["type"] == "zfspool"
