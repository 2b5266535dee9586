"""The network's decisions: Proxmox VE's words there and back, costs, and where the operator is."""

from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.host import _interfaces, _operator
from phoenix_hypervisor.host.nameservers import PART as NAMESERVERS
from phoenix_hypervisor.host.network import PART
from phoenix_hypervisor.host.part import Choice, Decided, Seen
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.network import HostInterface, HostNetwork
from phoenix_hypervisor.model.observed import Fields

VMBR0: dict[str, Any] = {
    "iface": "vmbr0",
    "type": "bridge",
    "method": "static",
    "cidr": "10.0.0.2/24",
    "address": "10.0.0.2",
    "netmask": "24",
    "gateway": "10.0.0.1",
    "cidr6": "fd00::2/64",
    "bridge_ports": "eno1",
    "bridge_vlan_aware": 1,
    "bridge_fd": "0",
    "autostart": 1,
    "active": 1,
    "priority": 3,
    "comments": "the house\n",
}
ENO1 = {"iface": "eno1", "type": "eth", "method": "manual", "active": 1}
VLAN = {"iface": "eno1.20", "type": "vlan", "cidr": "10.0.20.2/24", "vlan-raw-device": "eno1"}
MINE = {"peer": "10.0.0.7", "server": "10.0.0.2", "port": 22, "interface": "vmbr0"}


def _decide(*interfaces: HostInterface, mine: Any = (MINE,), pending: str = "") -> Decided:
    desired = Desired(
        Path("/nowhere"), "home", host=Host(setup=HostSetup(network=HostNetwork(interfaces)))
    )
    rows: list[Any] = [VMBR0, ENO1, VLAN]
    seen = Seen(facts={"node": "pve1", "rows": rows, "mine": list(mine), "pending": pending})
    return PART.decide(desired, seen, Choice())


def test_what_is_as_the_files_say_needs_nothing() -> None:
    same = HostInterface("vmbr0", "bridge", "10.0.0.2/24", "10.0.0.1", ("eno1",), vlan_aware=True,
                         autostart=True, comment="the house")  # fmt: skip
    vlan = HostInterface("eno1.20", "vlan", "10.0.20.2/24", vlan_id=20, device="eno1")
    assert _decide(same, vlan) == Decided()


def test_an_update_says_all_that_is_to_stay() -> None:
    """Proxmox VE takes the address away that an update leaves out."""
    told = _interfaces.parameters(HostInterface("vmbr0", mtu=9000, ports=("eno2", "eno1")), VMBR0)
    assert told == {
        "type": "bridge",
        "cidr": "10.0.0.2/24",
        "cidr6": "fd00::2/64",
        "gateway": "10.0.0.1",
        "bridge_ports": "eno1 eno2",
        "bridge_vlan_aware": "1",
        "autostart": "1",
        "comments": "the house",
        "mtu": "9000",
    }


def test_what_is_to_be_off_is_deleted() -> None:
    off = HostInterface("vmbr0", ports=(), vlan_aware=False, autostart=False)
    told = _interfaces.parameters(off, VMBR0)
    assert told["delete"] == "autostart,bridge_ports,bridge_vlan_aware"
    assert not {"autostart", "bridge_ports", "bridge_vlan_aware"} & set(told)
    assert "delete" not in _interfaces.parameters(off, None)


@pytest.mark.parametrize(
    ("interface", "expected"),
    [
        (
            HostInterface("eno1.30", "vlan", "10.0.30.2/24", vlan_id=30, device="eno1"),
            {"type": "vlan", "autostart": "1", "cidr": "10.0.30.2/24"},
        ),
        (
            HostInterface("storage", "vlan", vlan_id=40, device="vmbr0", autostart=False),
            {"type": "vlan", "vlan-id": "40", "vlan-raw-device": "vmbr0"},
        ),
        (
            HostInterface("vmbr1", "bridge", "fd00:1::2/64", "fd00:1::1", ()),
            {"type": "bridge", "autostart": "1", "cidr6": "fd00:1::2/64", "gateway6": "fd00:1::1"},
        ),
    ],
)
def test_new_ones(interface: HostInterface, expected: dict[str, str]) -> None:
    assert _interfaces.parameters(interface, None) == expected


def test_all_changes_are_one() -> None:
    (task,) = _decide(
        HostInterface("vmbr0", comment="new"),
        HostInterface("vmbr1", address="10.1.0.1/24", ports=()),
    ).tasks
    assert task.address == Address("network/pve1")
    assert [change.path for change in task.fields] == [
        "vmbr0.comment",
        "vmbr1.type",
        "vmbr1.address",
        "vmbr1.ports",
    ]
    assert task.impact is Impact.LIVE
    assert "takes it back unless it is reached again within 90 s" in task.reason


@pytest.mark.parametrize(
    "interface",
    [
        HostInterface("vmbr0", address="10.0.0.3/24"),
        HostInterface("vmbr0", gateway="10.0.0.254"),
        HostInterface("vmbr0", ports=()),
        HostInterface("eno1", "eth", mtu=9000),
    ],
)
def test_what_carries_the_operator_costs_a_break(interface: HostInterface) -> None:
    (task,) = _decide(interface).tasks
    assert task.impact is Impact.RESTART
    assert "your own connection comes in over vmbr0 (10.0.0.2)" in task.reason
    (task,) = _decide(interface, mine=()).tasks
    assert task.impact is Impact.RESTART
    assert "is not known" in task.reason


def test_what_others_left_waiting_is_not_activated() -> None:
    pending = "@@ -1 +1 @@\n-\taddress 10.0.0.2/24\n+\taddress 10.0.0.9/24\n"
    decided = _decide(HostInterface("vmbr0", comment="new"), pending=pending)
    assert decided.tasks == ()
    assert "+\taddress 10.0.0.9/24" in decided.refusals[0]


@pytest.mark.parametrize(
    ("interface", "type_", "told"),
    [
        (HostInterface("vmbr0", "bridge", comment="x"), "bond", "a bridge in the files, and on the "
         "node a bond"),
        (HostInterface("vmbr0", "bridge", comment="x"), "eth", "on the node a card"),
        (HostInterface("vmbr0", "bridge", comment="x"), "OVSBridge", "on the node an OVSBridge"),
        (HostInterface("vmbr0", "vlan", vlan_id=5, device="eno1"), "bridge", "a VLAN interface in "
         "the files, and on the node a bridge"),
    ],
)  # fmt: skip
def test_what_is_of_another_kind_is_refused(
    interface: HostInterface, type_: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VMBR0, "type", type_)
    decided = _decide(interface)
    assert decided.tasks == ()
    assert told in decided.refusals[0]
    assert "vmbr0" in decided.refusals[0]


def test_a_card_that_is_not_there_is_refused_and_a_bond_that_is_keeps_its_kind() -> None:
    (refusal,) = _decide(HostInterface("eno9", "eth", mtu=9000)).refusals
    assert "no card eno9" in refusal
    bond = {"iface": "bond0", "type": "bond", "slaves": "eno1 eno2", "bond_mode": "802.3ad"}
    told = _interfaces.parameters(HostInterface("bond0", "eth", mtu=9000), bond)
    assert told == {"type": "bond", "slaves": "eno1 eno2", "bond_mode": "802.3ad", "mtu": "9000"}


def test_the_operators_connections_are_read() -> None:
    text = """ssh 10.0.0.7 50000 10.0.0.2 22
tcp 0 0 10.0.0.2:8006 10.0.0.7:41000
tcp 0 0 [::ffff:10.0.0.2]:8006 [::ffff:10.0.0.99]:41000
tcp 0 0 127.0.0.1:8006 127.0.0.1:41000
ip 1: lo    inet 127.0.0.1/8 scope host lo
ip 2: vmbr0    inet 10.0.0.2/24 scope global vmbr0
"""
    by_ssh = _operator.Connection("10.0.0.7", "10.0.0.2", 22, "vmbr0")
    by_api = _operator.Connection("10.0.0.7", "10.0.0.2", 8006, "vmbr0")
    assert _operator.parse(text) == (by_ssh, by_api)
    without = _operator.parse(text.replace("ssh 10.0.0.7 50000 10.0.0.2 22", "ssh "))
    assert [one.peer for one in without] == ["10.0.0.7", "10.0.0.99"]
    assert _operator.parse("ssh \n") == ()
    assert _operator.from_json([by_ssh.as_json()]) == (by_ssh,)


def test_name_servers_hold_in_their_order() -> None:
    network = HostNetwork(nameservers=("10.0.0.1", "9.9.9.9", "1.1.1.1", "8.8.8.8"))
    desired = Desired(Path("/nowhere"), "home", host=Host(setup=HostSetup(network=network)))
    there: dict[Address, Fields] = {Address("dns/pve1"): {"servers": ["9.9.9.9"]}}
    decided = NAMESERVERS.decide(desired, Seen(there, facts={"node": "pve1"}), Choice())
    (task,) = decided.tasks
    assert task.fields[0].after == ["10.0.0.1", "9.9.9.9", "1.1.1.1"]
    assert decided.notes == ("a host asks 3 name servers; left out: 8.8.8.8",)
