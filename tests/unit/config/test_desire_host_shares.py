"""What the words on shares and on the host's own software become."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.config.desire.hosts.shares import mounted_at
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.shares import NfsExport, Samba, SambaShare, SambaUser
from phoenix_hypervisor.model.host.storage import Storage, ZfsDataset, ZfsPool
from phoenix_hypervisor.model.host.system import System, Updates
from phoenix_hypervisor.model.secret import Secret

DISKS = Storage(
    pools=(ZfsPool("quick", "mirror", ("a", "b"), "/mnt/pve/quick"), ZfsPool("bulk", "single", ())),
    datasets=(
        ZfsDataset("quick", "media"),
        ZfsDataset("quick", "own", {"mountpoint": "/srv/own"}),
        ZfsDataset("quick", "own/deep", {"mountpoint": "/srv/deep"}),
        ZfsDataset("quick", "off", {"mountpoint": "none"}),
    ),
)


def setup(folder: Path, vocabulary: Any, words: dict[str, Any]) -> HostSetup:
    (folder / "phoenix_hypervisor_config.json").write_text(json.dumps(words))
    found = load(folder, vocabulary).desired
    assert found is not None
    return found.host.setup


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/srv/a", "/srv/a"),
        ("quick/media", "/mnt/pve/quick/media"),
        ("quick/media/films", "/mnt/pve/quick/media/films"),
        ("quick", "/mnt/pve/quick"),
        ("quick/own", "/srv/own"),
        ("quick/own/x", "/srv/own/x"),
        ("quick/own/deep/x", "/srv/deep/x"),
        ("quick/ownership", "/mnt/pve/quick/ownership"),
        ("quick/off", "/mnt/pve/quick/off"),
        ("bulk/a", "/bulk/a"),
        ("other/a", "/other/a"),
    ],
)
def test_a_dataset_stands_for_where_it_is_mounted(path: str, place: str) -> None:
    assert mounted_at(path, DISKS) == place


def test_shares(tmp_path: Path, vocabulary: Any) -> None:
    nfs = [
        {"path": "/srv/a", "clients": ["10.0.0.9/24"], "options": ["rw", "sync"]},
        {"path": "/srv/b", "clients": "10.0.0.1,db", "options": "ro,fsid=0"},
    ]
    samba = {
        "user": "nia",
        "workgroup": "HOME",
        "users": {"nia": {"password": {"secret": "NIA"}}, "x-note": "who else?"},
        "settings": {"log level": 2, "x-why": "to see more"},
        "shares": [
            {
                "name": "media",
                "path": "quick/media",
                "options": "browseable=yes writable=yes",
                "valid_users": ["nia", "@family"],
            },
            {"name": "more", "path": "/srv/more", "options": {"read only": True}},
        ],
    }
    found = setup(tmp_path, vocabulary, {"nfs": {"exports": nfs}, "samba": samba}).shares
    assert found.exports == (
        NfsExport("/srv/a", ("10.0.0.0/24",), ("rw", "sync")),
        NfsExport("/srv/b", ("10.0.0.1", "db"), ("ro", "fsid=0")),
    )
    options = (("browseable", "yes"), ("writable", "yes"))
    assert found.samba == Samba(
        user="nia",
        workgroup="HOME",
        users=(SambaUser("nia", Secret(name="NIA")),),
        shares=(
            SambaShare("media", "/quick/media", options, ("nia", "@family"), "quick/media"),
            SambaShare("more", "/srv/more", (("read only", "yes"),)),
        ),
        settings=(("log level", "2"),),
    )


@pytest.mark.parametrize(
    ("words", "updates"),
    [
        ({}, None),
        ({"security_updates": False}, None),
        ({"security_updates": True}, Updates()),
        ({"security_updates": {}}, Updates()),
        (
            {"security_updates": {"also": ["PROXMOX"], "keep": ["^zfs"], "reboot_at": "23:59"}},
            Updates(("proxmox",), ("^zfs",), "23:59"),
        ),
    ],
)
def test_updates(
    tmp_path: Path, vocabulary: Any, words: dict[str, Any], updates: Updates | None
) -> None:
    assert setup(tmp_path, vocabulary, {"system": words}).system == System(updates=updates)


def test_the_rest_of_the_system(tmp_path: Path, vocabulary: Any) -> None:
    words = {"repositories": "enterprise", "microcode": True, "cpu_governor": "schedutil"}
    found = setup(tmp_path, vocabulary, {"system": words}).system
    assert found == System("enterprise", None, microcode=True, governor="schedutil")
