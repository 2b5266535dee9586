"""Fields are read back into a guest that shows the same fields."""

from dataclasses import replace

import pytest

from phoenix_hypervisor.drivers import fields, found
from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.desired import (
    Boot,
    Firewall,
    FirewallRule,
    Guest,
    Image,
    Json,
    Mount,
    Nic,
    PciDevice,
    Volume,
)

SMALL = Guest(lxc(101), "lxc", 101, "web", Image("debian-13-standard"), 512, 1)
RULES = (
    FirewallRule("in", "ACCEPT", "10.0.0.0/8", None, "tcp", ("80", "8000-8100"), "web"),
    FirewallRule("out", "DROP", dest="10.9.9.9"),
)
FULL = replace(
    SMALL,
    swap_mb=64,
    pool="tank",
    disk_gb=8,
    nics=(Nic("eth0", "vmbr0", "10.0.0.5/24", "10.0.0.1", ("9.9.9.9",), "52:54:00:00:00:01"),),
    mounts=(Mount("/srv/a.b", "/mnt/a.b", read_only=True),),
    volumes=(Volume("data", "tank", 4, "/srv/data"),),
    firewall=Firewall(True, RULES, "REJECT", "DROP"),
    boot=Boot(at_boot=True, order=3, delay_s=5),
    unprivileged=False,
    nesting=True,
    apparmor_profile="unconfined",
    gpus=(0, 1),
    protected=True,
)


@pytest.mark.parametrize("guest", [SMALL, FULL], ids=["small", "full"])
def test_a_guest_comes_back_from_its_fields(guest: Guest) -> None:
    shown = fields.guest_fields(guest)
    assert found.guest(guest.address, shown, "debian-13-standard") == guest
    raw = (("lxc.b", "2"), ("lxc.a", "1"), ("lxc.b", "3"))
    again = found.guest(guest.address, shown, "x", raw=raw, options=(("tty", "1"),))
    assert (again.raw, again.options) == (raw, (("tty", "1"),))


def test_a_machine_comes_back() -> None:
    shown: dict[str, Json] = {
        **fields.guest_fields(replace(SMALL, address=vm(7))),
        "pci": ["gpu0", "0000:01:00"],
        "agent": False,
        "bios": "ovmf",
    }
    machine = found.guest(vm(7), shown, "x", is_template=True)
    assert (machine.kind, machine.id, machine.is_template) == ("vm", 7, True)
    assert machine.pci == (PciDevice(mapping="gpu0"), PciDevice(address="0000:01:00"))
    assert (machine.agent, machine.bios, machine.cpu) == (False, "ovmf", None)


def test_volumes_without_a_name_are_called_by_their_place() -> None:
    shown = {
        **fields.guest_fields(SMALL),
        "volumes./srv/data.target": "/srv/data",
        "volumes./srv/data.pool": "tank",
        "volumes./srv-data.target": "/srv-data",
        "volumes./srv-data.size_gb": 0,
    }
    volumes = found.guest(lxc(101), shown, "x").volumes
    assert volumes == (
        Volume("srv-data", "tank", None, "/srv/data"),
        Volume("srv-data-2", None, None, "/srv-data"),
    )


@pytest.mark.parametrize(
    ("target", "name"),
    [("/", "data"), ("/var/lib/a b", "var-lib-a-b"), ("/ä", "data"), ("/" + "x" * 80, "x" * 50)],
)
def test_names_of_volumes(target: str, name: str) -> None:
    assert found.volume_name(target) == name
