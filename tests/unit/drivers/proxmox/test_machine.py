"""Virtual machines in PVE's words, there and back."""

from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.drivers.proxmox import machine, machine_network
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.property import parse
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import (
    Boot,
    CloudUser,
    Firewall,
    Guest,
    Image,
    Nic,
    PciDevice,
)

NOTES = Notes()
DIGESTS = {"meta": "1" * 12, "network": "2" * 12, "user": "3" * 12, "vendor": "4" * 12}
DISK = "local-zfs:vm-201-disk-0,discard=on,iothread=1,size=8G,ssd=1"


def guest(**words) -> Guest:
    given = {
        "address": address.vm(201),
        "kind": "vm",
        "id": 201,
        "name": "desk",
        "source": Image("debian-13.qcow2"),
        "memory_mb": 2048,
        "cores": 2,
    }
    return Guest(**{**given, **words})


def stored(wanted: Guest, config=None, domain=None) -> dict[str, object]:
    """What PVE holds afterwards: it makes up MAC addresses, and takes deleted keys away."""
    found: dict[str, object] = dict(config or {"scsi0": DISK})
    keys = machine.wanted(wanted, config or {}, domain)
    found |= {key: value for key, value in keys.items() if value is not None}
    for key in [key for key, value in keys.items() if value is None]:
        found.pop(key, None)
    for key in [key for key in found if key.startswith("net")]:
        model, _, rest = str(found[key]).partition(",")
        if key != "nameserver" and "=" not in model:
            found[key] = f"{model}=BC:24:11:00:00:0{key[3:]},{rest}"
    return found


def differences(wanted: Guest, config, digests=None) -> dict[str, tuple[object, object]]:
    """As a plan finds them: what is asked for and not so, and of groups what is there beside."""
    shown = machine.fields(config, wanted, NOTES)
    asked = machine.projected(wanted, digests or {})
    asked["firewall"] = shown["firewall"]  # a file of its own, which others read
    groups = ("network.", "mounts.", "volumes.", "raw.")
    extra = {path for path in shown if path.startswith(groups)}
    return {
        path: (shown.get(path), asked.get(path))
        for path in sorted({*asked, *extra})
        if shown.get(path) != asked.get(path)
    }


def test_a_new_machine_in_full():
    desk = guest(
        nics=(Nic("eth0", "vmbr0", "10.0.0.21/24", "10.0.0.1", ("9.9.9.9", "1.1.1.1")),),
        boot=Boot(True, 3, 10),
        protected=True,
        firewall=Firewall(True),
        pci=(PciDevice(mapping="gpu0"), PciDevice(address="0000:02:00")),
        bios="ovmf",
        cpu="host",
    )
    assert machine.wanted(desk, {}, "lab.example") == {
        "ostype": "l26",
        "cpu": "host",
        "scsihw": "virtio-scsi-single",
        "serial0": "socket",
        "vga": "serial0",
        "boot": "order=scsi0",
        "ciupgrade": "0",
        "name": "desk",
        "memory": "2048",
        "cores": "2",
        "onboot": "1",
        "protection": "1",
        "startup": "order=3,up=10",
        "agent": "1",
        "bios": "ovmf",
        "machine": "q35",
        "hostpci0": "mapping=gpu0,pcie=1",
        "hostpci1": "0000:02:00,pcie=1",
        "net0": "virtio,bridge=vmbr0,firewall=1",
        "ipconfig0": "ip=10.0.0.21/24,gw=10.0.0.1",
        "nameserver": "9.9.9.9 1.1.1.1",
        "searchdomain": "lab.example",
    }


def test_the_disks_of_a_new_machine():
    assert machine.new_disk(guest(bios="ovmf"), "local:import/debian-13.qcow2", "fast") == {
        "scsi0": "fast:0,import-from=local:import/debian-13.qcow2,discard=on,iothread=1,ssd=1",
        "scsi1": "fast:cloudinit",
        "efidisk0": "fast:1,efitype=4m,pre-enrolled-keys=0",
    }
    assert "efidisk0" not in machine.new_disk(guest(), "local:import/debian-13.qcow2", "fast")


PLAIN = guest(nics=(Nic("eth0", "vmbr0", "dhcp"),))
NAMES = st.sampled_from(["eth0", "ens18", "lan"])
PLACES = st.sampled_from(
    [
        (None, None),
        ("dhcp", None),
        ("10.0.0.21/24", None),
        ("10.0.0.21/24", "10.0.0.1"),
        ("fd00::21/64", "fd00::1"),
    ]
)
MACS = st.sampled_from([None, "52:54:00:AA:BB:01"])
CARDS = st.sampled_from(
    [
        PciDevice("gpu0"),
        PciDevice("nvme0"),
        PciDevice(None, "0000:01:00"),
        PciDevice(None, "0000:0a:00.1"),
    ]
)


@st.composite
def guests(draw) -> Guest:
    at, gateway = draw(PLACES)
    servers = draw(st.sampled_from([(), ("9.9.9.9",), ("9.9.9.9", "2620:fe::fe")]))
    nic = Nic(draw(NAMES), draw(st.sampled_from(["vmbr0", "vmbr1"])), at, gateway, servers)
    nics = draw(st.sampled_from([(), (replace(nic, mac=draw(MACS)),)]))
    return guest(
        name=draw(st.sampled_from(["desk", "desk.lab"])),
        memory_mb=draw(st.sampled_from([512, 4096])),
        cores=draw(st.integers(1, 8)),
        nics=nics,
        boot=draw(st.sampled_from([Boot(), Boot(True), Boot(True, 2), Boot(True, 2, 9)])),
        protected=draw(st.booleans()),
        firewall=draw(st.sampled_from([None, Firewall(True)])),
        pci=draw(st.lists(CARDS, unique=True, max_size=3).map(tuple)),
        agent=draw(st.booleans()),
        cpu=draw(st.sampled_from([None, "host", "x86-64-v3"])),
        machine=draw(st.sampled_from([None, "q35", "pc", "pc-q35-9.0"])),
        bios=draw(st.sampled_from([None, "seabios", "ovmf"])),
        pool=draw(st.sampled_from([None, "local-zfs"])),
        disk_gb=draw(st.sampled_from([None, 8])),
    )


@given(guests())
def test_what_was_made_shows_no_difference(wanted):
    assert differences(wanted, stored(wanted)) == {}


@given(guests(), guests())
def test_what_was_changed_shows_no_difference_and_nothing_is_written_twice(before, after):
    config = stored(after, stored(before))
    assert differences(after, config) == {}
    again = machine.wanted(after, config)
    assert {k: v for k, v in again.items() if config.get(k) != v} == {}


def test_what_nobody_asked_for_is_kept():
    config = {
        **stored(PLAIN),
        "net0": "virtio=BC:24:11:2E:36:47,bridge=vmbr0,firewall=1,mtu=1400,tag=7",
        "agent": "1,fstrim_cloned_disks=1",
        "cpu": "x86-64-v2-AES,flags=+aes",
        "args": "-device foo",
        "usb0": "host=1d6b:0002",
        "memory": "2048",
        "balloon": "1024",
        "description": "by hand",
    }
    assert differences(PLAIN, config) == {}
    keys = machine.wanted(replace(PLAIN, agent=False, cpu="host"), config)
    assert keys["agent"] == "0,fstrim_cloned_disks=1"
    assert keys["cpu"] == "host,flags=+aes"
    assert keys["net0"] == "virtio=BC:24:11:2E:36:47,bridge=vmbr0,mtu=1400,tag=7"
    assert not {"args", "usb0", "balloon", "description", "scsi0", "vga", "ostype"} & set(keys)


def test_the_model_of_a_card_stays():
    config = {**stored(PLAIN), "net0": "e1000=BC:24:11:2E:36:47,bridge=vmbr1"}
    assert differences(PLAIN, config) == {"network.eth0.bridge": ("vmbr1", "vmbr0")}
    assert machine.wanted(PLAIN, config)["net0"] == "e1000=BC:24:11:2E:36:47,bridge=vmbr0"
    asked = replace(PLAIN, nics=(replace(PLAIN.nics[0], mac="52:54:00:aa:bb:01"),))
    assert machine.wanted(asked, config)["net0"] == "e1000=52:54:00:AA:BB:01,bridge=vmbr0"


def test_a_mac_address_shows_only_where_it_was_asked_for():
    config = stored(PLAIN)
    assert "network.eth0.mac" not in machine.fields(config, PLAIN, NOTES)
    noted = machine.fields(config, PLAIN, Notes(macs=("eth0",)))
    assert noted["network.eth0.mac"] == "bc:24:11:00:00:00"
    assert machine_network.macs(config) == ("bc:24:11:00:00:00",)


def test_a_second_card_that_nobody_wants_is_a_removal():
    config = {
        **stored(PLAIN),
        "net3": "virtio=BC:24:11:00:00:03,bridge=vmbr1",
        "ipconfig3": "ip=dhcp",
    }
    assert differences(PLAIN, config) == {
        "network.eth1.address": ("dhcp", None),
        "network.eth1.bridge": ("vmbr1", None),
    }
    keys = machine.wanted(PLAIN, config)
    assert keys["net3"] is None
    assert keys["ipconfig3"] is None


def test_sockets_multiply_cores():
    config = {**stored(guest(cores=4)), "cores": 2, "sockets": 2}
    assert differences(guest(cores=4), config) == {}
    keys = machine.wanted(guest(cores=6), config)
    assert (keys["cores"], keys["sockets"]) == ("6", "1")


def test_memory_is_a_string_there():
    config = {**stored(PLAIN), "memory": "current=4096"}
    assert differences(PLAIN, config) == {"memory_mb": (4096, 2048)}
    assert "memory_mb" not in differences(PLAIN, {**config, "memory": 2048})


@pytest.mark.parametrize(
    ("config", "key", "pool", "size"),
    [
        ({"scsi0": DISK}, "scsi0", "local-zfs", 8),
        ({"virtio0": "local:201/vm-201-disk-0.qcow2,size=2252M"}, "virtio0", "local", 3),
        (
            {
                "boot": "order=sata1;ide2",
                "ide2": "none,media=cdrom",
                "scsi0": DISK,
                "sata1": "ceph:vm-201-disk-1,size=1T",
            },
            "sata1",
            "ceph",
            1024,
        ),
        ({"bootdisk": "virtio1", "scsi0": DISK, "virtio1": "a:b,size=4G"}, "virtio1", "a", 4),
        ({"scsi1": "local-zfs:vm-201-cloudinit,media=cdrom"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_the_disk_it_boots_from(config, key, pool, size):
    assert machine.root_disk(config) == key
    shown = machine.fields(config, None, NOTES)
    assert (shown.get("pool"), shown.get("disk_gb")) == (pool, size)


def test_cards_keep_what_was_set_beside_them():
    wanted = guest(pci=(PciDevice("gpu0"), PciDevice(None, "0000:0A:00")))
    config = {
        **stored(wanted),
        "hostpci0": "mapping=gpu0,x-vga=1,rombar=0",
        "hostpci1": "0a:00,pcie=1",
        "hostpci2": "mapping=nvme0",
        "machine": "pc-q35-9.2+pve1",
    }
    assert differences(wanted, config) == {
        "pci": (["gpu0", "0000:0a:00", "nvme0"], ["gpu0", "0000:0a:00"])
    }
    keys = machine.wanted(wanted, config)
    assert keys["hostpci0"] == "mapping=gpu0,x-vga=1,rombar=0"
    assert keys["hostpci1"] == "0a:00,pcie=1"
    assert keys["hostpci2"] is None
    assert "machine" not in keys


def test_cards_need_the_newer_board_unless_the_files_say_so():
    assert machine.wanted(guest(pci=(PciDevice("gpu0"),)), {})["machine"] == "q35"
    old = machine.wanted(guest(pci=(PciDevice("gpu0"),), machine="pc"), {})
    assert "machine" not in old
    assert old["hostpci0"] == "mapping=gpu0"
    assert machine.wanted(guest(machine="pc"), {"machine": "q35"})["machine"] is None


@pytest.mark.parametrize(
    ("key", "value", "config", "told"),
    [
        ("hostpci0", "0000:01:00,pcie=1", {}, True),
        ("hostpci0", "host=0000:01:00", {}, True),
        ("hostpci0", "mapping=gpu0,pcie=1", {}, False),
        ("hostpci0", None, {"hostpci0": "0000:01:00"}, True),
        ("hostpci0", "mapping=gpu0", {"hostpci0": "0000:01:00"}, True),
        ("hostpci0", None, {"hostpci0": "mapping=gpu0"}, False),
        ("args", "-device foo", {}, True),
        ("net0", "virtio,bridge=vmbr0", {}, False),
    ],
)
def test_what_only_root_may_write(key, value, config, told):
    assert machine.root_only(key, value, config) is told


def test_documents_of_cloud_init_are_seen_by_their_names():
    keys = machine.cloud(PLAIN, "local", DIGESTS)
    assert keys["cicustom"] == (
        "meta=local:snippets/phoenix-201-meta-111111111111.yaml,"
        "network=local:snippets/phoenix-201-network-222222222222.yaml,"
        "user=local:snippets/phoenix-201-user-333333333333.yaml,"
        "vendor=local:snippets/phoenix-201-vendor-444444444444.yaml"
    )
    config = {**stored(PLAIN), "cicustom": keys["cicustom"]}
    assert differences(PLAIN, config, DIGESTS) == {}
    edited = {**DIGESTS, "user": "a" * 12, "meta": "b" * 12}
    assert differences(PLAIN, config, edited) == {"cloud_init.user": ("3" * 12, "a" * 12)}
    assert differences(PLAIN, stored(PLAIN)) == {}  # adopted: its cloud-init is its own


def test_the_same_in_proxmox_own_words():
    key = "ssh-ed25519 AAAA+/= anna@desk"
    keys = machine.native_cloud(guest(user=CloudUser("anna", (key,))), ["ssh-rsa B root", key])
    assert keys["ciuser"] == "anna"
    assert keys["sshkeys"] is not None
    assert " " not in keys["sshkeys"]
    assert "+" not in keys["sshkeys"]
    assert unquote(keys["sshkeys"]).split("\n") == [key, "ssh-rsa B root"]
    assert machine.native_cloud(guest(), [])["sshkeys"] is None


def test_fixed_addresses_v4_first():
    config = {"ipconfig1": "ip6=fd00::5/64,gw6=fd00::1", "ipconfig0": "ip=10.0.0.5/24", "net0": ""}
    assert machine_network.static_addresses(config) == ["10.0.0.5", "fd00::5"]
    assert machine_network.static_addresses({"ipconfig0": "ip=dhcp"}) == []


def test_a_machine_made_by_hand_can_be_read():
    config = {
        "boot": "order=scsi0;ide2;net0",
        "cores": 4,
        "cpu": "host",
        "ide2": "local:iso/debian.iso,media=cdrom",
        "memory": "8192",
        "meta": "creation-qemu=10.0.2,ctime=1750000000",
        "name": "hand",
        "net0": "virtio=BC:24:11:2E:36:47,bridge=vmbr0,firewall=1",
        "numa": 0,
        "ostype": "l26",
        "scsi0": "local-lvm:vm-105-disk-0,iothread=1,size=32G",
        "scsihw": "virtio-scsi-single",
        "smbios1": "uuid=0f2a",
        "sockets": 1,
        "vmgenid": "9f",
    }
    shown = machine.fields(config, None, NOTES)
    assert shown["name"] == "hand"
    assert (shown["memory_mb"], shown["cores"], shown["disk_gb"]) == (8192, 4, 32)
    assert (shown["agent"], shown["cpu"], shown["machine"]) == (False, "host", "pc")
    assert shown["network.eth0.bridge"] == "vmbr0"
    assert parse(str(config["net0"]))["firewall"] == "1"
