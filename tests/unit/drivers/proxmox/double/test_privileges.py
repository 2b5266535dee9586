"""The role of the documentation is exactly enough: with it all works, without one of them a plan
that needs it is refused before anything is changed, with the commands that mend it.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conformance.double import TEMPLATE, DoubleKit
from tests.support import pve
from tests.unit.drivers.proxmox.double.worlds import converged, made

from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.drivers.proxmox.api.rights import ROLE
from phoenix_hypervisor.drivers.proxmox.permissions import Permissions
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.availability import HighAvailability
from phoenix_hypervisor.model.desired import (
    Boot,
    CloneOf,
    CloudUser,
    Desired,
    Guest,
    Image,
    Nic,
    PciDevice,
    Volume,
)
from phoenix_hypervisor.model.errors import Denied

WEB = "https://example.org/debian-12-genericcloud-amd64.qcow2"
UNCHECKED = {
    "Datastore.AllocateTemplate",
    "Mapping.Use",
    "Sys.AccessNetwork",
    "VM.Config.Cloudinit",
    "VM.Config.HWType",
    "VM.GuestAgent.Audit",
}
"""What only virtual machines and downloads need, which the double does not carry out."""


def machine(kit: DoubleKit, number: int) -> Guest:
    """A virtual machine of a cloud image, with a card of the host."""
    vmid = kit.id(number)
    return replace(
        kit.guest(number),
        address=addresses.vm(vmid),
        kind="vm",
        source=Image(WEB),
        nics=(Nic("eth0", kit.bridge, "dhcp"),),
        user=CloudUser("ada"),
        pci=(PciDevice(mapping="gpu0"),),
    )


async def steps(kit: DoubleKit) -> Desired:
    """A stack that is there, and changes that need all that Phoenix ever does."""
    await kit.double.storage("local", "dir", "iso,vztmpl,backup,import,snippets", path="/x")
    await kit.double.template(TEMPLATE)
    source = kit.guest(0, snapshot_name="ready")
    moved = kit.guest(1, node="pve1")
    await made(kit, source, moved)
    return kit.desired(
        source,
        replace(
            moved,
            node="pve2",
            memory_mb=300,
            cores=2,
            disk_gb=3,
            volumes=(Volume("data", kit.pool, 1, "/data"),),
        ),
        kit.guest(2, source=CloneOf(source.address, "ready"), nesting=True),
        kit.full_guest(3),
        kit.guest(5, snapshot_name="other"),
        machine(kit, 4),
    )


def containers(desired: Desired) -> Desired:
    """The part whose requests the double carries out as Proxmox VE does."""
    guests = {a: g for a, g in desired.guests.items() if g.kind == "lxc"}
    return replace(desired, guests=guests)


async def test_with_the_role_all_works(kit: DoubleKit) -> None:
    desired = await steps(kit)
    plan = await kit.plan(desired)
    assert plan.refusals == ()
    report = await kit.apply(desired=containers(desired))
    assert report.ok, report.failed
    assert [one.path for one in (await kit.double.asked()).requests if one.status == 403] == []
    await converged(kit, containers(desired))


async def test_without_one_of_them_nothing_is_begun(kit: DoubleKit) -> None:
    desired = await steps(kit)
    await kit.double.forget()
    for privilege in privileges.BASE:
        await without(kit, privilege)
        try:
            told = " ".join((await kit.plan(desired)).refusals)
        except Denied as error:
            told = f"{error.message} {error.hint}"
        assert f" {privilege}" in told, privilege
        commands = [each for each in told.split("`") if each.startswith("pveum role add Phoenix")]
        naming = [each for each in commands if privilege in each]
        assert any(f"--tokens '{pve.TOKEN}'" in each for each in naming), privilege
    asked = await kit.double.asked()
    assert [str(one) for one in asked.requests if one.method != "GET"] == []


async def without(kit: DoubleKit, privilege: str) -> None:
    await kit.double.set("acl", {pve.TOKEN: []})
    await kit.double.token(*(each for each in privileges.BASE if each != privilege))


@pytest.mark.parametrize("privilege", sorted({*privileges.BASE} - UNCHECKED))
async def test_without_one_of_them_proxmox_ve_refuses(kit: DoubleKit, privilege: str) -> None:
    """None is asked for in vain: Proxmox VE's own checks refuse the same steps without it."""
    desired = containers(await steps(kit))
    async with kit.open() as driver:
        plan = await kit.plan(desired, driver)
        assert plan.refusals == ()
        await without(kit, privilege)
        try:
            report = await kit.walk(plan, desired, driver)
        except Denied as error:
            told = error.message
        else:
            told = " ".join(failure.message for failure in report.failed)
    assert told != ""
    if privilege.startswith("VM.Config"):
        assert privilege in told


@pytest.mark.parametrize("what", ["ha", "a privileged container", "a machine's start order"])
async def test_what_only_some_folders_need(kit: DoubleKit, what: str) -> None:
    """Read in Proxmox VE's sources: start order of a container needs no more than its options."""
    await kit.double.storage("local", "dir", "iso,vztmpl,backup,import,snippets", path="/x")
    await kit.double.template(TEMPLATE)
    order = Boot(at_boot=True, order=2)
    guest, privilege = {
        "ha": (kit.guest(0, ha=HighAvailability()), "Sys.Console"),
        "a privileged container": (kit.guest(0, unprivileged=False, boot=order), "Sys.Modify"),
        "a machine's start order": (replace(machine(kit, 0), boot=order), "Sys.Modify"),
    }[what]
    assert privilege in privileges.ON_DEMAND
    (refusal,) = (await kit.plan(kit.desired(guest))).refusals
    assert refusal.startswith(f"{pve.TOKEN} lacks {privilege} on /: `pveum")
    await kit.double.token(privilege)
    assert (await kit.plan(kit.desired(guest))).refusals == ()


def test_proxmox_ve_8_has_another_name() -> None:
    old = Permissions({"/": {"VM.Monitor": 1}})
    assert old.has("/vms/101", "VM.GuestAgent.Audit")
    assert not old.has("/vms/101", "VM.Audit")
    assert not Permissions({"/": {"VM.Audit": 1}}).has("/vms/101", "VM.GuestAgent.Audit")


def test_every_privilege_says_what_it_is_for() -> None:
    assert list(privileges.BASE) == sorted(privileges.BASE)
    assert all(privileges.PRIVILEGES.values())
    assert all(privileges.ON_DEMAND.values())
    assert set(privileges.BASE).isdisjoint(privileges.ON_DEMAND)


def test_the_documentation_has_the_same_role() -> None:
    page = (Path(__file__).parents[5] / "docs" / "proxmox.md").read_text()
    commands = re.findall(r'^pveum role add (\S+) --privs "([^"]+)"', page, re.MULTILINE)
    assert [(role, names.split()) for role, names in commands] == [(ROLE, [*privileges.BASE])]
    assert [name for name in privileges.PRIVILEGES if f"`{name}`" not in page] == []
