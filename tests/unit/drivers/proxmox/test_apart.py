"""What a restored guest of Proxmox VE keeps: what is named, and nothing that leads elsewhere."""

import pytest

from phoenix_hypervisor.drivers.proxmox import apart

CARD = "name=eth0,bridge=vmbr0"


@pytest.mark.parametrize(
    ("key", "value", "goes"),
    [
        ("rootfs", "tank:subvol-9900-disk-0,size=8G", False),
        ("rootfs", "local:9900/vm-9900-disk-0.raw,size=8G", False),
        ("mp0", "tank:subvol-101-disk-1,mp=/data", True),
        ("mp0", "/srv/theirs,mp=/data", True),
        ("mp0", "/srv/theirs:of-9900-x,mp=/data", True),
        ("net0", f"{CARD},link_down=1", False),
        ("net0", CARD, True),
        ("onboot", "0", False),
        ("onboot", "1", True),
        ("features", "nesting=1", False),
        ("hookscript", "local:snippets/x", True),
        ("dev0", "/dev/dri/card0", True),
        ("made_up_later", "1", True),
    ],
)
def test_a_container(key: str, value: str, goes: bool) -> None:
    assert apart.foreign({key: value}, 9900, is_container=True) == [key] * goes


@pytest.mark.parametrize(
    ("key", "value", "goes"),
    [
        ("scsi0", "tank:vm-9900-disk-0,size=8G", False),
        ("scsi0", "file=tank:vm-9900-disk-0,size=8G", False),
        ("scsi1", "tank:vm-101-disk-1", True),
        ("scsi1", "/dev/disk/by-id/x", True),
        ("scsi1", "file=/dev/disk/by-path/pci-0000:01-9900-0", True),
        ("ide2", "none,media=cdrom", False),
        ("ide2", "cdrom,media=cdrom", True),
        ("efidisk0", "tank:vm-9900-disk-1,size=4M", False),
        ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0", True),
        ("serial0", "socket", False),
        ("serial0", "/dev/ttyS0", True),
        ("smbios1", "uuid=x", False),
        ("hostpci0", "mapping=card", True),
        ("virtiofs0", "dirid=data", True),
        ("args", "-x", True),
    ],
)
def test_a_machine(key: str, value: str, goes: bool) -> None:
    assert apart.foreign({key: value}, 9900, is_container=False) == [key] * goes


def test_cards_are_unplugged_once() -> None:
    down = "virtio=BC:24:11:00:00:01,bridge=vmbr0,link_down=1"
    config = {"net0": "virtio=BC:24:11:00:00:02,bridge=vmbr0,link_down=0", "net1": down}
    assert apart.unplugged(config) == {"net0": "virtio=BC:24:11:00:00:02,bridge=vmbr0,link_down=1"}


def test_raw_options() -> None:
    lines = [["lxc.idmap", "u 0 100000 65536"], ["lxc.net.1.type", "phys"], ["lxc.cap.drop", ""]]
    assert apart.foreign_lines({"lxc": lines}) == ["lxc.net.1.type"]
    assert [key for key, _ in apart.own_lines({"lxc": lines})] == ["lxc.idmap", "lxc.cap.drop"]
