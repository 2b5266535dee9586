"""A guest of somebody else's in the words of the files: what they ask for is what is there."""

from typing import Any

import pytest

from phoenix_hypervisor.drivers.proxmox import container, kinds, network, wording
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.state import State
from phoenix_hypervisor.model.address import Address, lxc, vm
from phoenix_hypervisor.model.desired import Guest, Image, Nic
from phoenix_hypervisor.plan.diff import diff

CARD = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:5F:76:5C,ip=10.0.0.5/24,gw=10.0.0.1,type=veth"
SMALL: dict[str, Any] = {
    "hostname": "web",
    "memory": 512,
    "swap": 0,
    "cores": 1,
    "rootfs": "tank:subvol-101-disk-0,size=8G",
    "net0": CARD,
    "unprivileged": 1,
    "ostype": "debian",
}
MACHINE: dict[str, Any] = {
    "name": "mach",
    "memory": "2048",
    "cores": 2,
    "sockets": 1,
    "scsi0": "tank:vm-201-disk-0,size=10G",
    "boot": "order=scsi0",
    "net0": "virtio=BC:24:11:84:D9:B5,bridge=vmbr0",
    "ipconfig0": "ip=10.0.0.6/24,gw=10.0.0.1",
    "ostype": "l26",
}
HAND = ["local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst",
        "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst",
        "local:import/debian.qcow2"]  # fmt: skip


def worded(address: Address, config: dict[str, Any], **more: Any) -> wording.Worded:
    state = State(address, "pve1", config)
    fields = kinds.fields(state, None) | {"firewall": None}
    return wording.of(state, fields, "listed", at_hand=HAND, node_cores=4, **more)


LXC = lxc(101)


def differences(config: dict[str, Any], address: Address = LXC) -> list[str]:
    """What a plan of the guest's own words would change."""
    guest = worded(address, config).guest
    assert guest is not None
    seen = kinds.fields(State(address, "pve1", config), guest) | {"firewall": None}
    return [change.path for change in diff(kinds.projected(guest, {}), seen)]


ODD: dict[str, dict[str, Any]] = {
    "small": {},
    "no card": {"net0": None},
    "DHCP": {"net0": "name=eth0,bridge=vmbr0,ip=dhcp,tag=5,rate=10"},
    "IPv6 beside": {"net0": f"{CARD},ip6=fd00::5/64,gw6=fd00::1"},
    "two cards": {"net1": "name=eth1,bridge=vmbr1,ip=10.1.0.5/24"},
    "volumes": {"mp0": "tank:subvol-1,mp=/srv/a b,size=4G,acl=1", "mp3": "dir:1/x.raw,mp=/x"},
    "binds": {"mp0": "/srv/x,mp=/x,ro=1", "mp1": "/srv/y,mp=/y,shared=1"},
    "devices": {"dev0": "/dev/nvidia0", "dev1": "/dev/dri/card0,gid=44"},
    "features": {"features": "fuse=1,keyctl=1,mount=nfs;cifs,nesting=1"},
    "options": {"cpulimit": 1.5, "cpuunits": 100, "console": 1, "tty": 2, "hookscript": "local:a"},
    "raw": {"lxc": [["lxc.apparmor.profile", "unconfined"], ["lxc.b", "1"], ["lxc.b", "2"]]},
    "on folders": {"rootfs": "dir:subvol-101-disk-0,size=0T"},
    "odd size": {"rootfs": "tank:x,size=2560M"},
    "boot": {"onboot": 1, "startup": "order=2,up=3,down=4", "protection": 1},
    "privileged": {"unprivileged": 0},
    "notes and tags": {"description": "mine\n", "tags": "a;b"},
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_its_own_words_change_nothing(name: str) -> None:
    config = {key: value for key, value in (SMALL | ODD[name]).items() if value is not None}
    assert differences(config) == []


def test_a_machine_too() -> None:
    assert differences(MACHINE, vm(201)) == []
    assert differences(MACHINE | {"sockets": 2, "agent": "1", "bios": "ovmf"}, vm(201)) == []


def test_what_it_was_made_of_is_guessed() -> None:
    guest = worded(lxc(101), SMALL).guest
    assert guest is not None
    assert guest.source == Image("debian-13-standard_13.1-2_amd64.tar.zst")
    guest = worded(lxc(101), SMALL | {"ostype": "alpine"}).guest
    assert guest is not None
    assert guest.source == Image("alpine")


def test_what_has_no_limit_and_no_name() -> None:
    config = {key: value for key, value in SMALL.items() if key not in ("cores", "hostname")}
    found = worded(lxc(101), config)
    assert found.guest is not None
    assert (found.guest.cores, found.guest.name) == (4, "listed")
    assert [line.split(":")[0] for line in found.unsaid] == [
        "it has no name",
        "its cores have no limit",
    ]
    assert differences(config) == ["cores", "name"]


@pytest.mark.parametrize(
    ("address", "config", "rules", "said"),
    [
        (lxc(101), SMALL | {"template": 1}, (), "template of Proxmox VE's own"),
        (lxc(101), SMALL | {"net0": "name=eth0,bridge=b,ip6=auto"}, (), "IPv6 address alone"),
        (lxc(101), SMALL | {"net0": "name=eth0,ip=dhcp"}, (), "no bridge"),
        (lxc(101), SMALL, ({"pos": 2, "macro": "SSH"},), "rule 2 of its firewall"),
        (lxc(101), SMALL, ({"pos": 0, "type": "group", "action": "web"},), "the group web"),
        (vm(201), MACHINE | {"net1": "virtio,bridge=vmbr0"}, (), "2 network cards"),
        (vm(201), MACHINE | {"ipconfig0": "ip=dhcp,ip6=auto"}, (), "an IPv4 and an IPv6"),
        (vm(201), {k: v for k, v in MACHINE.items() if k != "scsi0"}, (), "no disk"),
    ],
)
def test_what_the_next_apply_would_take_away_has_no_words(
    address: Address, config: dict[str, Any], rules: tuple[dict[str, Any], ...], said: str
) -> None:
    found = worded(address, config, rules=rules)
    assert found.guest is None
    assert said in " ".join(found.unsaid)


def test_nothing_secret_is_taken_over() -> None:
    config = SMALL | {"env": "A=hidden", "description": "hidden\n",
                      "lxc": [["lxc.environment", "B=hidden"], ["lxc.c", "1"]]}  # fmt: skip
    found = worded(lxc(101), config)
    assert "hidden" not in repr(found)
    assert found.guest is not None
    assert found.guest.raw == ()


def test_cards_are_told_by_address_mapping_and_file() -> None:
    config = MACHINE | {"hostpci0": "mapping=gpu0,pcie=1", "hostpci1": "0000:01:00.0;02:00"}
    assert wording.cards(State(vm(201), "pve1", config)) == ("gpu0", "0000:01:00.0", "02:00")
    config = SMALL | {
        "dev0": "path=/dev/nvidia0,mode=0666",
        "dev1": "/dev/nvidiactl",
        "lxc": [["lxc.mount.entry", "/dev/nvidia1 dev/nvidia1 none bind,create=file"]],
    }
    assert wording.cards(State(lxc(101), "pve1", config)) == ("/dev/nvidia0", "/dev/nvidia1")


def test_numbers_of_raw_cards_are_taken_and_stay() -> None:
    raw = "name=eth9,bridge=vmbr9"
    guest = Guest(lxc(101), "lxc", 101, "web", Image("x"), 512, 1, options=(("net0", raw),),
                  nics=(Nic("eth0", "vmbr0", "dhcp"),))  # fmt: skip
    keys = container.wanted(guest, {}, Notes())
    assert keys["net0"] == raw
    assert keys["net1"] == "name=eth0,bridge=vmbr0,ip=dhcp,type=veth"


@pytest.mark.parametrize(
    ("address", "kept"),
    [("10.0.0.9/24", True), ("dhcp", True), ("fd00::9/64", False), (None, False)],
)
def test_an_ipv6_address_beside_stays(address: str | None, kept: bool) -> None:
    guest = Guest(lxc(101), "lxc", 101, "web", Image("x"), 512, 1,
                  nics=(Nic("eth0", "vmbr0", address),))  # fmt: skip
    there = {"net0": f"{CARD},ip6=fd00::5/64,gw6=fd00::1"}
    card = network.wanted(guest, there)["net0"] or ""
    assert ("ip6=fd00::5/64" in card and "gw6=fd00::1" in card) is kept
    assert card.count("ip6=") <= 1
