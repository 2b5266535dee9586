"""Cards kept for virtual machines: what is decided from a sysfs, and what is written."""

import asyncio
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.host.rooted_node import RootedNode

from phoenix_hypervisor.host.part import Choice, Decided
from phoenix_hypervisor.host.vfio import PART
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired, Host
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.cards import Cards, PassedCard

VM = addresses.vm(201)
OPTIONS, MODULES = "etc/modprobe.d/phoenix-vfio.conf", "etc/modules-load.d/phoenix-vfio.conf"
GPU, SOUND, BRIDGE, VGA = "10de:2d04", "10de:22eb", "8086:460d", "030000"


@pytest.fixture
def node(tmp_path: Path) -> RootedNode:
    made = RootedNode(
        tmp_path,
        [
            {
                "id": "gpu0",
                "map": [
                    "id=10de:2d04,node=pve2,path=0000:07:00",
                    "id=10de:2d04,node=pve1,path=0000:01:00",
                ],
            }
        ],
    )
    made.card("0000:00:01.0", BRIDGE, "060400", "pcieport", 2)
    made.card("0000:01:00.0", GPU, VGA, "nvidia", 2)
    made.card("0000:01:00.1", SOUND, "040300", "snd_hda_intel", 2)
    made.card("0000:03:00.0", "144d:a808", "010802", "nvme", 9)
    return made


def _desired(*cards: PassedCard) -> Desired:
    setup = HostSetup(cards=Cards(passed=cards))
    return Desired(folder=Path("/nowhere"), stack="s", host=replace(Host(), setup=setup))


CARD = _desired(PassedCard(VM, address="0000:01:00"))


def _decided(node: RootedNode, desired: Desired = CARD) -> Decided:
    return PART.decide(desired, asyncio.run(PART.look(node, desired)), Choice())


def _apply(node: RootedNode, desired: Desired = CARD) -> None:
    for task in _decided(node, desired).tasks:
        asyncio.run(PART.make(node, task, desired, lambda _: None))


def _boot(node: RootedNode) -> None:
    """As a boot with these options: the drivers are taken by ids."""
    found = re.search(r"ids=([^ ]*)", node.get_text(OPTIONS))
    taken = found[1].split(",") if found else []
    for folder in (node.root / "sys/bus/pci/devices").iterdir():
        ids = f"{(folder / 'vendor').read_text()[2:6]}:{(folder / 'device').read_text()[2:6]}"
        if ids in taken:
            (folder / "driver").unlink()
            (folder / "driver").symlink_to("../../../bus/pci/drivers/vfio-pci")


def test_all_functions_are_kept_and_hold_after_a_restart(node: RootedNode) -> None:
    (task,) = _decided(node).tasks
    assert (task.action, task.impact) == (Action.CREATE, Impact.LIVE)
    assert [(one.path, one.after) for one in task.fields] == [
        ("ids", f"{SOUND},{GPU}"),
        ("modules", "vfio, vfio_iommu_type1, vfio_pci"),
    ]
    assert VM in task.restarts
    _apply(node)
    assert f"options vfio-pci ids={SOUND},{GPU} disable_vga=1\n" in node.get_text(OPTIONS)
    assert "softdep nvidia pre: vfio-pci\n" in node.get_text(OPTIONS)
    assert node.get_text(MODULES).splitlines()[1:] == ["vfio", "vfio_iommu_type1", "vfio_pci"]
    assert node.get_text("state/boot") == "initramfs -u -k all\n"
    waiting = _decided(node)
    assert waiting.tasks == ()
    assert "0000:01:00.0 of vm/201 is still held by nvidia" in waiting.restarts
    _boot(node)
    assert _decided(node) == Decided()


def test_a_mapping_is_of_this_node(node: RootedNode) -> None:
    decided = _decided(node, _desired(PassedCard(VM, mapping="gpu0")))
    assert decided.tasks[0].fields[0].after == f"{SOUND},{GPU}"
    assert decided.notes == ()


def test_a_card_that_is_not_there_is_told(node: RootedNode) -> None:
    for card, named in (
        (PassedCard(VM, address="0000:05:00"), "0000:05:00"),
        (PassedCard(VM, mapping="other"), "the mapping other"),
    ):
        decided = _decided(node, _desired(card))
        assert decided.tasks == ()
        assert decided.notes == (f"vm/201 is given {named}, which is no card of this node",)


def test_options_stay_while_a_card_is_not_seen(node: RootedNode) -> None:
    _apply(node)
    shutil.rmtree(node.root / "sys/bus/pci/devices")
    decided = _decided(node)
    assert decided.tasks == ()
    assert "no card of this node" in decided.notes[0]


def test_a_twin_that_containers_use_is_never_taken(node: RootedNode) -> None:
    node.card("0000:02:00.0", GPU, VGA, "nvidia", 5)
    decided = _decided(node)
    assert decided.tasks[0].fields[0].after == SOUND
    assert "the host has another one of the same ids" in decided.notes[0]
    _apply(node)
    assert GPU not in node.get_text(OPTIONS)
    _boot(node)
    assert _decided(node).tasks == ()
    assert _decided(node).restarts == ()


def test_both_twins_may_go_to_machines(node: RootedNode) -> None:
    node.card("0000:02:00.0", GPU, VGA, "nvidia", 5)
    both = _desired(
        PassedCard(VM, address="0000:01:00"), PassedCard(addresses.vm(202), address="0000:02:00.0")
    )
    assert _decided(node, both).tasks[0].fields[0].after == f"{SOUND},{GPU}"


def test_the_rest_of_an_iommu_group_and_the_consoles_card_are_told(node: RootedNode) -> None:
    node.card("0000:04:00.0", "1b21:1064", "010601", "ahci", 2)
    node.put("sys/bus/pci/devices/0000:01:00.0/boot_vga", "1\n")
    group, console = _decided(node).notes
    assert "0000:04:00.0 (1b21:1064) is in the IOMMU group 2 of a card of vm/201" in group
    assert "shows the node's console" in console


def test_options_of_others_stay(node: RootedNode) -> None:
    node.put("etc/modprobe.d/vfio.conf", "options vfio-pci ids=1111:2222\n")
    assert "vfio.conf has ids of vfio-pci too" in _decided(node).notes[0]
    _apply(node)
    assert node.get_text("etc/modprobe.d/vfio.conf") == "options vfio-pci ids=1111:2222\n"


def test_an_edit_by_hand_is_mended(node: RootedNode) -> None:
    _apply(node)
    wanted = node.get_text(OPTIONS)
    node.put(OPTIONS, wanted.replace("softdep nvidia", "# softdep nvidia"))
    (task,) = _decided(node).tasks
    assert (task.action, task.fields[0].before) == (Action.UPDATE, "with other options")
    _apply(node)
    assert node.get_text(OPTIONS) == wanted


def _no_groups(node: RootedNode) -> None:
    for group in (node.root / "sys/kernel/iommu_groups").iterdir():
        group.rmdir()


def test_without_an_iommu_amd_is_refused(node: RootedNode) -> None:
    _no_groups(node)
    (refusal,) = _decided(node).refusals
    assert "switch IOMMU (AMD-Vi) on" in refusal


@pytest.mark.parametrize("loader", ["grub", "systemd-boot"])
def test_intel_gets_its_parameter_and_is_refused_where_that_does_not_help(
    node: RootedNode, loader: str
) -> None:
    _no_groups(node)
    node.put("proc/cpuinfo", "vendor_id\t: GenuineIntel\n")
    node.put("etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n")
    if loader == "systemd-boot":
        (node.root / "bin/update-grub").unlink()
        node.put("etc/kernel/proxmox-boot-uuids", "AAAA-BBBB\n")
    assert [one.path for one in _decided(node).tasks[0].fields][-1] == "kernel command line"
    _apply(node)
    line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=on\n"
    assert node.get_text("etc/kernel/cmdline") == line
    grub = node.get_text("etc/default/grub.d/phoenix-iommu.cfg")
    assert ("DEFAULT intel_iommu=on" in grub) is (loader == "grub")
    ran = "grub" if loader == "grub" else "proxmox-boot-tool refresh"
    assert node.get_text("state/boot").splitlines() == ["initramfs -u -k all", ran]
    assert "not started with intel_iommu=on yet" in _decided(node).restarts[0]
    _apply(node)
    assert node.get_text("etc/kernel/cmdline") == line
    node.put("proc/cmdline", line)
    assert "switch VT-d on" in _decided(node).refusals[0]


def test_no_boot_loader_is_an_error(node: RootedNode) -> None:
    _no_groups(node)
    node.put("proc/cpuinfo", "vendor_id\t: GenuineIntel\n")
    (node.root / "bin/update-grub").unlink()
    with pytest.raises(ConfigureFailed) as caught:
        _apply(node)
    assert "neither GRUB nor systemd-boot" in caught.value.detail


def test_cards_go_back_to_the_host(node: RootedNode) -> None:
    assert _decided(node, _desired()) == Decided()
    _apply(node)
    (task,) = _decided(node, _desired()).tasks
    assert task.action is Action.DELETE
    assert task.restarts
    _apply(node, _desired())
    assert not (node.root / OPTIONS).exists()
    assert _decided(node, _desired()) == Decided()
