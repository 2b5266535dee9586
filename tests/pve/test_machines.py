"""Virtual machines on a real node: from a cloud image to a login, edited live, cloned, and away."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.conformance.steps import clear, inside, must_see, quiet, update
from tests.conformance.variations import differences
from tests.pve.node import PveKit, Setting

from phoenix_hypervisor.drivers.proxmox.api.client import path
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.desired import CloneOf, CloudUser, Guest, Image
from phoenix_hypervisor.model.driver import Driver

IMAGE = os.environ.get("PHOENIX_PVE_VM_IMAGE", "")

pytestmark = [
    pytest.mark.pve,
    pytest.mark.skipif(not IMAGE, reason="PHOENIX_PVE_VM_IMAGE names no cloud image of the node"),
]

KEYS = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ada@one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB ada@two",
)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> PveKit:
    return PveKit.make(tmp_path_factory.mktemp("pve-machines"), Setting())


@pytest.fixture
async def driver(kit: PveKit) -> AsyncIterator[Driver]:
    await clear(kit, resources=False)
    async with kit.open() as driver:
        yield driver
    await clear(kit, resources=False)


def _machine(kit: PveKit, number: int) -> Guest:
    container = kit.guest(number)
    return replace(
        container,
        address=addresses.vm(container.id),
        kind="vm",
        source=Image(IMAGE),
        pool=os.environ.get("PHOENIX_PVE_VM_STORAGE", kit.pool),
        memory_mb=768,
        disk_gb=4,
        cpu="max",
        user=CloudUser("ada", KEYS[:1]),
    )


async def _without_kvm(kit: PveKit, guest: Guest) -> None:
    """On a node without KVM (a nested one) QEMU emulates; only root may say so."""
    answer = await kit.said_by_root("[ -c /dev/kvm ] && echo yes || echo no")
    if answer == "no":
        where = path("nodes", kit.setting.get("NODE"), "qemu", guest.id, "config")
        await kit.as_root(f"pvesh set {where} --kvm 0")


async def test_from_an_image_to_an_edit_of_its_user(kit: PveKit, driver: Driver) -> None:
    """Editing user-data never replaces a machine: the worst report on other tools' VMs."""
    guest = _machine(kit, 60)
    desired = kit.desired(guest)
    assert list(driver.problems(desired, await driver.observe(desired))) == []
    await driver.create(guest, desired, quiet)
    await _without_kvm(kit, guest)
    made = await must_see(driver, kit, guest)
    assert differences(driver.project(guest), made.fields) == []
    await driver.start(guest, quiet)
    assert list(await driver.addresses(guest.address)) == [guest.ip]
    ask = "hostname; cat /home/ada/.ssh/authorized_keys; cat /var/lib/cloud/data/instance-id"
    _, before = await inside(driver, guest.address, ask)
    assert before.splitlines()[:2] == [guest.name, KEYS[0]]

    edited = replace(guest, user=CloudUser("ada", KEYS))
    await driver.observe(kit.desired(edited))
    there = await must_see(driver, kit, edited)
    changes = differences(driver.project(edited), there.fields)
    assert {driver.impact(edited, there, change) for change in changes} == {Impact.LIVE}
    assert await update(driver, kit, edited) == {"cloud_init.user"}
    _, after = await inside(driver, guest.address, ask)
    assert after.splitlines() == [guest.name, *KEYS, before.splitlines()[-1]]
    there = await must_see(driver, kit, edited)
    assert (differences(driver.project(edited), there.fields), there.pending) == ([], ())

    await driver.stop(guest.address, quiet)
    await driver.snapshot(guest.address, "ready", quiet)
    clone = replace(
        _machine(kit, 61), source=CloneOf(guest.address, "ready"), user=edited.user, name="other"
    )
    await driver.observe(kit.desired(edited, clone))
    await driver.create(clone, kit.desired(edited, clone), quiet)
    there = await must_see(driver, kit, clone)
    assert differences(driver.project(clone), there.fields) == []
    await driver.start(clone, quiet)
    _, said = await inside(driver, clone.address, ask)
    assert said.splitlines()[0] == "other"
    assert said.splitlines()[-1] != before.splitlines()[-1], "it took its source's identity"
