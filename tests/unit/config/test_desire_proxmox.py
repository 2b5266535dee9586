"""What the words that Proxmox VE needs become."""

import json
from pathlib import Path

import pytest

from phoenix_hypervisor.config import pct
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.availability import HighAvailability
from phoenix_hypervisor.model.desired import (
    CloudUser,
    Desired,
    Gpu,
    IdMap,
    Image,
    Mount,
    NfsShare,
    Nic,
    PciDevice,
)
from phoenix_hypervisor.model.secret import Secret

FOLDER = Path(__file__).parent / "good" / "proxmox-words"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1hZGUgdXAga2V5IGZvciB0aGVzZSB0ZXN0cyAxMjM0 anna@desk"


@pytest.fixture(scope="module")
def desired(vocabulary) -> Desired:
    found = load(FOLDER, vocabulary).desired
    assert found is not None
    return found


def test_the_way_to_the_api(desired):
    target = desired.target
    assert target.fingerprint == ":".join(["AB"] * 32)
    assert (target.username, target.password) == ("root@pam", Secret(name="PVE_PASSWORD"))
    assert (target.node, target.requests, target.verify_tls) == ("pve1", 4, True)
    assert target.ssh == {
        "host": "10.10.0.2",
        "port": 2222,
        "user": "admin",
        "identity_file": "keys/node",
        "known_hosts": "keys/known_hosts",
        "config_file": "keys/config",
        "hosts": {"pve2": "10.10.0.3"},
        "command": "ssh -J jump root@pve1",
    }


def test_nothing_is_said_of_ssh_that_the_files_dont_say(vocabulary, tmp_path):
    (tmp_path / "phoenix_lxc_configs.json").write_text('{"lxc_configs": {}}')
    found = load(tmp_path, vocabulary).desired
    assert found is not None
    assert (found.target.ssh, found.target.requests) == ({}, 6)


def test_a_bridge_alone_is_a_card_of_a_machine(vocabulary, tmp_path):
    machine = {"template_image": "debian.qcow2", "cores": 1, "memory_mb": 512, "disk_size_gb": 4}
    words = {
        "vm_defaults": {"network_bridge": "vmbr1"},
        "vms": [
            {"vmid": 501, "name": "one", **machine, "network_bridge": "vmbr2"},
            {"vmid": 502, "name": "two", **machine},
        ],
    }
    (tmp_path / "phoenix_vm_configs.json").write_text(json.dumps(words))
    found = load(tmp_path, vocabulary).desired
    assert found is not None
    assert found.guests[address.vm(501)].nics == (Nic("eth0", "vmbr2", "dhcp", None, ()),)
    assert found.guests[address.vm(502)].nics == ()


def test_a_container(desired):
    web = desired.guests[address.lxc(101)]
    assert web.source == Image("https://mirror.example/debian-13.tar.zst", "sha256:" + "ab" * 32)
    assert (web.node, web.description) == ("pve2", "The page\nand the proxy")
    assert web.ha == HighAvailability("started", 2, 1, ("pve2", "pve1"), "the way in")
    assert web.mounts == (Mount("/srv/a", "/a", False, 33, 0),)
    assert web.nesting
    assert web.options == (
        ("cpulimit", "2"),
        ("cpuunits", "200"),
        ("hookscript", "local:snippets/hook.pl"),
        ("features", "fuse=1,keyctl=1"),
    )
    assert web.id_maps == (IdMap("both", 33, 33), IdMap("gid", 44, 44, 2))
    assert web.gpus == ()


def test_a_machine(desired):
    base, desk = desired.guests[address.vm(9000)], desired.guests[address.vm(201)]
    assert base.source == Image("https://mirror.example/debian-13.qcow2", "sha512:" + "0" * 128)
    assert (base.agent, base.ha, base.user) == (False, None, CloudUser("anna"))
    assert (desk.agent, desk.node, desk.description) == (True, "pve1", "For ML")
    assert (desk.cpu, desk.machine, desk.bios) == ("host", "q35", "ovmf")
    assert desk.user == CloudUser(
        "anna", (KEY,), Secret(name="ANNA_HASH"), False, "/bin/zsh", ("video",)
    )
    assert desk.packages == ("zsh", "git")
    assert desk.shares == (NfsShare("10.10.0.2", "/tank/share", "/mnt/share"),)
    assert desk.user_data == FOLDER / "cloud-init" / "more.yaml"


def test_cards_are_handed_over_whole_and_once(desired):
    assert desired.host.gpus == (
        Gpu(0, "", None, "0000:01:00.0"),
        Gpu(1, "", None, "0000:02:00.0", "gpu1"),
    )
    desk = desired.guests[address.vm(201)]
    assert desk.gpus == ()
    assert desk.pci == (
        PciDevice(address="0000:01:00"),
        PciDevice(mapping="gpu1"),
        PciDevice(mapping="nvme0"),
        PciDevice(address="0000:03:00"),
        PciDevice(address="0000:04:00.1"),
        PciDevice(address="0000:05:00"),
    )


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("cpulimit=2", ("cpulimit", "2")),
        ("--cpulimit 2", ("cpulimit", "2")),
        ("--cpulimit=2", ("cpulimit", "2")),
        ("-cpulimit 2", ("cpulimit", "2")),
        (" cpulimit : 2 ", ("cpulimit", "2")),
        ("dev0=/dev/dri/card0,mode=0666", ("dev0", "/dev/dri/card0,mode=0666")),
        ("features: nesting=1,keyctl=1", ("features", "nesting=1,keyctl=1")),
        ("cpulimit", None),
        ("cpulimit=", None),
        ("=2", None),
        ("", None),
    ],
)
def test_an_option_in_all_its_spellings(line, option):
    assert pct.read_option(line) == option


def test_nesting_can_be_said_in_both_ways_and_no():
    assert pct.read_features(["nesting=1"]) == {"nesting": "1"}
    assert pct.read_features(['--features "nesting=0,fuse=1"']) == {"nesting": "0", "fuse": "1"}
    assert pct.options(["nesting=1", "memory=512"]) == ()
