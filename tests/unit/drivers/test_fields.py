import pytest

from phoenix_hypervisor.drivers.fields import (
    Path,
    default_impact,
    firewall_json,
    grouped,
    guest_fields,
    raw_fields,
    split,
)
from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.change import FieldChange, Impact
from phoenix_hypervisor.model.desired import (
    Boot,
    Firewall,
    FirewallRule,
    Guest,
    Image,
    Json,
    Mount,
    Nic,
    Volume,
)

SMALL = Guest(lxc(101), "lxc", 101, "web", Image("debian-13-standard"), memory_mb=512, cores=2)
FULL = Guest(
    lxc(102),
    "lxc",
    102,
    "db",
    Image("debian-13-standard"),
    memory_mb=2048,
    cores=4,
    swap_mb=0,
    pool="tank",
    disk_gb=16,
    nics=(
        Nic(
            "eth0", "vmbr0", "10.0.0.5/24", "10.0.0.1", ("10.0.0.1", "9.9.9.9"), "AA:BB:CC:00:11:22"
        ),
        Nic("eth1", "vmbr1"),
    ),
    mounts=(Mount("/srv/models", "/mnt/models.d", read_only=True, owner_uid=7),),
    volumes=(Volume("data", None, 20, "/var/lib/x"), Volume("log", "fast", None, "/var/log")),
    firewall=Firewall(
        enabled=True,
        rules=(FirewallRule("in", "ACCEPT", "10.0.0.0/24", None, "tcp", ("5432",), "clients"),),
    ),
    boot=Boot(at_boot=True, order=2, delay_s=0),
    unprivileged=False,
    nesting=True,
    apparmor_profile="unconfined",
    raw=(("lxc.mount.entry", "a"), ("lxc.mount.entry", "b"), ("lxc.cap.drop", "")),
    gpus=(0, 1),
    protected=True,
)


def test_a_small_guest_says_only_what_is_decided() -> None:
    assert guest_fields(SMALL) == {
        "name": "web",
        "memory_mb": 512,
        "cores": 2,
        "unprivileged": True,
        "nesting": False,
        "boot.at_boot": False,
        "gpus": [],
        "protected": False,
        "firewall": None,
    }


def test_a_full_guest() -> None:
    assert guest_fields(FULL) == {
        "name": "db",
        "memory_mb": 2048,
        "swap_mb": 0,
        "cores": 4,
        "pool": "tank",
        "disk_gb": 16,
        "unprivileged": False,
        "nesting": True,
        "apparmor_profile": "unconfined",
        "boot.at_boot": True,
        "boot.order": 2,
        "boot.delay_s": 0,
        "gpus": [0, 1],
        "protected": True,
        "network.eth0.bridge": "vmbr0",
        "network.eth0.address": "10.0.0.5/24",
        "network.eth0.gateway": "10.0.0.1",
        "network.eth0.nameservers": ["10.0.0.1", "9.9.9.9"],
        "network.eth0.mac": "aa:bb:cc:00:11:22",
        "network.eth1.bridge": "vmbr1",
        "mounts./mnt/models.d.source": "/srv/models",
        "mounts./mnt/models.d.read_only": True,
        "volumes.data.pool": "tank",
        "volumes.data.size_gb": 20,
        "volumes.data.target": "/var/lib/x",
        "volumes.log.pool": "fast",
        "volumes.log.target": "/var/log",
        "raw.lxc.mount.entry": ["a", "b"],
        "raw.lxc.cap.drop": "",
        "firewall": {
            "policy_in": "DROP",
            "policy_out": "ACCEPT",
            "rules": [
                {
                    "direction": "in",
                    "action": "ACCEPT",
                    "source": "10.0.0.0/24",
                    "proto": "tcp",
                    "ports": ["5432"],
                    "comment": "clients",
                }
            ],
        },
    }


def test_a_firewall_that_is_off_is_none() -> None:
    assert firewall_json(Firewall(enabled=False, rules=(FirewallRule("in", "DROP"),))) is None


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("memory_mb", Path("memory_mb")),
        ("boot.order", Path("boot", "", "order")),
        ("network.eth0.5.mac", Path("network", "eth0.5", "mac")),
        ("mounts./mnt/a.b.source", Path("mounts", "/mnt/a.b", "source")),
        ("raw.lxc.cgroup2.devices.allow", Path("raw", "lxc.cgroup2.devices.allow")),
    ],
)
def test_paths_come_apart(path: str, parts: Path) -> None:
    assert split(path) == parts


def test_groups() -> None:
    assert grouped(guest_fields(FULL), "volumes") == {
        "data": {"pool": "tank", "size_gb": 20, "target": "/var/lib/x"},
        "log": {"pool": "fast", "target": "/var/log"},
    }
    assert raw_fields([]) == {}


@pytest.mark.parametrize(
    ("path", "before", "after", "impact"),
    [
        ("memory_mb", 512, 1024, Impact.LIVE),
        ("boot.delay_s", 1, 2, Impact.LIVE),
        ("firewall", None, {}, Impact.LIVE),
        ("network.eth0.nameservers", ["1.1.1.1"], None, Impact.LIVE),
        ("network.eth0.mac", "a", "b", Impact.RESTART),
        ("network.eth7.bridge", None, "vmbr0", Impact.RESTART),
        ("unprivileged", True, False, Impact.RESTART),
        ("raw.lxc.cap.drop", "", "x", Impact.RESTART),
        ("gpus", [], [0], Impact.RESTART),
        ("pool", "a", "tank", Impact.DESTRUCTIVE),
        ("disk_gb", 8, 16, Impact.LIVE),
        ("disk_gb", 32, 16, Impact.DESTRUCTIVE),
        ("mounts./new.source", None, "/srv", Impact.LIVE),
        ("mounts./mnt/models.d.source", "/srv/old", "/srv/models", Impact.RESTART),
        ("volumes.new.size_gb", None, 5, Impact.LIVE),
        ("volumes.data.size_gb", 10, 20, Impact.LIVE),
        ("volumes.data.size_gb", 30, 20, Impact.DESTRUCTIVE),
        ("volumes.data.target", "/a", "/b", Impact.RESTART),
        ("volumes.log.pool", "slow", "fast", Impact.DESTRUCTIVE),
        ("volumes.gone.size_gb", 5, None, Impact.DESTRUCTIVE),
    ],
)
def test_impacts(path: str, before: Json, after: Json, impact: Impact) -> None:
    seen = guest_fields(FULL) | {"volumes.gone.size_gb": 5}
    assert default_impact(FULL, seen, FieldChange(path, before, after)) is impact


def test_a_vm_takes_new_sizes_at_its_start() -> None:
    machine = Guest(vm(9), "vm", 9, "vm", Image("noble"), memory_mb=512, cores=2)
    change = FieldChange("memory_mb", 512, 1024)
    assert default_impact(machine, guest_fields(machine), change) is Impact.RESTART
