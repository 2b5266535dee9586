"""Where datasets come to be mounted: by a property of their own, by inheriting, by moving along."""

from collections.abc import Mapping

import pytest

from phoenix_hypervisor.host import _guest_disks
from phoenix_hypervisor.host._mounts import Mount, after, moved
from phoenix_hypervisor.model.check import Said
from phoenix_hypervisor.model.host.storage import Storage, ZfsDataset, ZfsPool

LIVE = {
    "q": Mount("/q"),
    "q/a": Mount("/q/a"),
    "q/a/b": Mount("/q/a/b"),
    "q/a/own": Mount("/srv/own"),
    "q/a/off": Mount("/q/a/off", "off"),
    "q/old": Mount("legacy"),
}


def storage(**datasets: str) -> Storage:
    """Datasets of the pool q, each with its properties."""
    found = [
        ZfsDataset("q", name, dict(each.split("=") for each in words.split()))
        for name, words in datasets.items()
    ]
    return Storage(datasets=tuple(found))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": "quota=1G"}, {}),
        ({"a": "mountpoint=/q/a"}, {}),
        ({"new": ""}, {"q/new": "/q/new"}),
        ({"new/deep": ""}, {"q/new": "/q/new", "q/new/deep": "/q/new/deep"}),
        ({"a/new": "mountpoint=/srv/x"}, {"q/a/new": "/srv/x"}),
        ({"a/own/new": ""}, {"q/a/own/new": "/srv/own/new"}),
        ({"a": "mountpoint=/srv/a"}, {"q/a": "/srv/a", "q/a/b": "/srv/a/b"}),
        ({"a": "mountpoint=none"}, {}),
        ({"new": "canmount=noauto"}, {}),
        ({"old/new": ""}, {}),
        ({"old/new": "mountpoint=/srv/x"}, {"q/old/new": "/srv/x"}),
        ({"a/off": "canmount=on"}, {"q/a/off": "/q/a/off"}),
        ({"old": "mountpoint=/srv/old"}, {"q/old": "/srv/old"}),
    ],
)
def test_what_comes_to_be_mounted_elsewhere(
    wanted: Mapping[str, str], found: Mapping[str, str]
) -> None:
    assert moved(storage(**wanted), LIVE) == found


def test_datasets_of_a_pool_that_is_made_too_are_below_its_mount_point() -> None:
    pool = ZfsPool("q", "single", ("x",), "/mnt/pve/q")
    wanted = Storage((pool,), (ZfsDataset("q", "a"),))
    assert moved(wanted, {}) == {"q/a": "/mnt/pve/q/a"}
    assert after(wanted, {})["q"] == Mount("/mnt/pve/q")


class Node:
    """A node of Proxmox VE that answers each script with these words."""

    name, is_pve, way_in = "pve1", True, ("sh",)

    def __init__(self, out: str) -> None:
        self.out = out

    async def run(self, script: str, why: str, **options: object) -> Said:
        del script, why, options
        return Said(0, self.out, "")

    async def get(self, path: str, /, **query: object) -> None:
        raise AssertionError(path)

    async def send(self, method: str, path: str, /, **params: object) -> None:
        raise AssertionError(path)


async def test_where_proxmox_ves_files_are_not_there_guests_are_not_known() -> None:
    assert (await _guest_disks.look(Node("@files\n"))).unknown == ""
    assert "pve-cluster" in (await _guest_disks.look(Node(""))).unknown
