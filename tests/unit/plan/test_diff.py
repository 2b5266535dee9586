from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.plan.diff import after, diff

WANTED: dict[str, Json] = {"memory_mb": 512, "network.eth0.address": "dhcp", "firewall": None}
SEEN: dict[str, Json] = {
    "memory_mb": 256,
    "swap_mb": 64,
    "boot.order": 3,
    "network.eth0.address": "dhcp",
    "network.eth1.bridge": "vmbr0",
    "mounts./srv/a.b.source": "/mnt",
    "volumes.data.size_gb": 4,
    "raw.lxc.tty.max": "2",
}


def test_groups_are_compared_as_a_whole_and_open_fields_are_left_alone() -> None:
    assert diff(WANTED, SEEN) == (
        FieldChange("memory_mb", 256, 512),
        FieldChange("mounts./srv/a.b.source", "/mnt", None),
        FieldChange("network.eth1.bridge", "vmbr0", None),
        FieldChange("raw.lxc.tty.max", "2", None),
        FieldChange("volumes.data.size_gb", 4, None),
    )


def test_once_carried_out_nothing_differs() -> None:
    reached = after(WANTED, SEEN)
    assert diff(WANTED, reached) == ()
    assert reached == {**WANTED, "swap_mb": 64, "boot.order": 3}


def test_a_wanted_nothing_that_is_not_seen_is_no_difference() -> None:
    assert diff({"firewall": None}, {}) == ()
    assert diff({"firewall": None}, {"firewall": {"rules": []}}) == (
        FieldChange("firewall", {"rules": []}, None),
    )
