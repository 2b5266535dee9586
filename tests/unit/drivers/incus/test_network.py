"""What guests read about their network."""

import pytest
from tests.unit.plan.worlds import plain

from phoenix_hypervisor.drivers.incus import network
from phoenix_hypervisor.model.desired import Nic

STATIC = Nic("eth0", "vmbr0", "10.0.0.5/24", "10.0.0.1", ("9.9.9.9", "fd00::53"))


@pytest.mark.parametrize(
    ("nic", "lines"),
    [
        (
            STATIC,
            ["Address=10.0.0.5/24", "Gateway=10.0.0.1", "DNS=9.9.9.9", "DNS=fd00::53"],
        ),
        (
            Nic("eth0", "vmbr0", "10.0.0.5/24", "10.0.0.1"),
            ["Address=10.0.0.5/24", "Gateway=10.0.0.1", "DNS=10.0.0.1"],
        ),
        (Nic("eth0", "vmbr0", "fd00::5/64"), ["Address=fd00::5/64"]),
        (Nic("eth0", "vmbr0", "dhcp"), ["DHCP=yes"]),
        (Nic("eth0", "vmbr0", "dhcp", nameservers=("9.9.9.9",)), ["DHCP=yes", "DNS=9.9.9.9"]),
        (Nic("eth0", "vmbr0"), ["DHCP=no", "LinkLocalAddressing=no"]),
    ],
)
def test_unit(nic: Nic, lines: list[str]) -> None:
    assert network.unit(nic) == "\n".join(["[Match]", "Name=eth0", "", "[Network]", *lines, ""])


def test_the_unit_wins_over_what_images_bring() -> None:
    path = network.unit_path(Nic("eth1", "vmbr0"))
    assert path == "/etc/systemd/network/05-phoenix-eth1.network"
    assert path.rpartition("/")[2] < "10-netplan-eth1.network"


def test_resolv_conf_names_each_server_once() -> None:
    other = Nic("eth1", "inner", "10.1.0.5/24", "10.0.0.1", ("9.9.9.9",))
    gateway_only = Nic("eth2", "inner", "10.2.0.5/24", "10.2.0.1")
    guest = plain(nics=(STATIC, other, gateway_only))
    assert network.resolv_conf(guest) == (
        "nameserver 9.9.9.9\nnameserver fd00::53\nnameserver 10.2.0.1\n"
    )


def test_without_any_server_dhcp_decides() -> None:
    assert network.resolv_conf(plain(nics=(Nic("eth0", "vmbr0", "dhcp"),))) is None
    assert network.resolv_conf(plain(nics=())) is None


def test_a_guest_knows_its_own_name() -> None:
    lines = network.hosts(plain(name="web.example.org")).splitlines()
    assert "127.0.1.1 web.example.org" in lines
    assert "127.0.0.1 localhost" in lines
