"""PCI cards of a node: which count, what NVIDIA's driver says, who uses them."""

from typing import Any

from phoenix_hypervisor.drivers.proxmox import cards
from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.desired import Gpu
from phoenix_hypervisor.model.inventory import FoundGuest

ROWS: list[dict[str, Any]] = [
    {"id": "0000:02:00.0", "class": "0x030200", "vendor": "0x10de", "vendor_name": "NVIDIA",
     "device_name": "A40", "iommugroup": 12},
    {"id": "0000:01:00.0", "class": "0x030000", "vendor": "0x10de", "vendor_name": "NVIDIA",
     "device_name": "RTX 4090", "iommugroup": 11},
    {"id": "0000:01:00.1", "class": "0x040300", "vendor": "0x10de", "iommugroup": 11},
    {"id": "0000:00:02.0", "class": "0x030000", "vendor": "0x8086", "device": "0x4680",
     "iommugroup": -1},
    {"id": "0000:03:00.0", "class": "0x010802", "vendor": "0x144d", "device_name": "SSD"},
    {"id": "0000:00:00.0", "class": "0x060000", "vendor": "0x8086"},
]  # fmt: skip
MAPPINGS: list[dict[str, Any]] = [
    {"id": "gpu0", "map": ["id=10de:2684,node=pve1,path=0000:01:00,iommugroup=11"]},
    {"id": "disk", "map": ["id=144d:a80a,node=pve1,path=0000:03:00.0",
                           "id=144d:a80a,node=pve2,path=0000:05:00.0"]},
]  # fmt: skip


def test_graphics_cards_and_mapped_ones_count() -> None:
    found = {card.pci: card for card in cards.read("pve1", ROWS, MAPPINGS)}
    assert set(found) == {"0000:01:00.0", "0000:02:00.0", "0000:00:02.0", "0000:03:00.0"}
    first = found["0000:01:00.0"]
    assert (first.gpu, first.group, first.mapping) == (
        Gpu(0, "NVIDIA RTX 4090", None, "0000:01:00.0", "gpu0"),
        11,
        "gpu0",
    )
    assert found["0000:02:00.0"].gpu == Gpu(1, "NVIDIA A40", None, "0000:02:00.0")
    assert (found["0000:00:02.0"].gpu, found["0000:00:02.0"].group) == (None, None)
    assert found["0000:03:00.0"].mapping == "disk"
    assert {c.mapping for c in cards.read("pve2", ROWS, MAPPINGS)} == {None}


def test_what_nvidia_says() -> None:
    text = (
        "0, NVIDIA GeForce RTX 4090, 24564, 00000000:01:00.0\n"
        "1, NVIDIA A40, [N/A], 00000000:02:00.0\nNo devices were found\n"
    )
    assert cards.from_smi(text) == [
        Gpu(0, "NVIDIA GeForce RTX 4090", 24564, "0000:01:00.0"),
        Gpu(1, "NVIDIA A40", None, "0000:02:00.0"),
    ]


def test_who_uses_them() -> None:
    def guest(address: str, *used: str, node: str = "pve1") -> FoundGuest:
        is_vm = address.startswith("vm")
        at = vm(int(address[3:])) if is_vm else lxc(int(address[4:]))
        return FoundGuest("g", "vm" if is_vm else "lxc", "running", at, node, cards=used)

    guests = [
        guest("lxc/101", "/dev/nvidia1"),
        guest("lxc/102", "/dev/nvidia1", node="pve2"),
        guest("vm/201", "01:00"),
        guest("vm/202", "gpu0"),
        guest("vm/203", "disk", "0000:02:00.0"),
    ]
    found = {
        card.pci: card.users
        for card in cards.with_users(cards.read("pve1", ROWS, MAPPINGS), guests)
    }
    assert found == {
        "0000:00:02.0": (),
        "0000:01:00.0": ("vm/201", "vm/202"),
        "0000:02:00.0": ("lxc/101", "vm/203"),
        "0000:03:00.0": ("vm/203",),
    }
