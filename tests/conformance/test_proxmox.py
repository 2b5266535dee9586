"""The Proxmox driver passes the suite on the double of Proxmox VE's API, with one node and three.

By a token with the documented role; what no token may do goes through a root shell beside the
double. Insides of containers are tested in tests/incus/node.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.conformance.double import DoubleKit, kit_on
from tests.conformance.kit import Kit
from tests.conformance.shared import SharedDriverSuite
from tests.conformance.steps import clear, inside, make, must_see, quiet, seen, update

from phoenix_hypervisor.drivers.proxmox.api.client import path
from phoenix_hypervisor.model.desired import CloneOf, Desired, Guest
from phoenix_hypervisor.model.driver import Driver

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: the double's root shell mounts folders of its own"
)
NODES = ("pve1", "pve2", "pve3")


class TestOneNode(SharedDriverSuite):
    nodes: tuple[str, ...] = NODES[:1]

    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
        with kit_on(tmp_path_factory.mktemp("pve"), cls.nodes) as kit:
            yield kit
            asyncio.run(clear(kit, resources=False))
            assert asyncio.run(kit.double.guests()) == []

    async def check_way_in(self, driver: Driver, guest: Guest) -> None:
        assert await inside(driver, guest.address, "echo here; exit 7") == (7, "here")
        assert (await driver.terminal(guest.address))[0]


class TestThreeNodes(TestOneNode):
    nodes = NODES

    async def test_guests_on_other_nodes(self, kit: DoubleKit, driver: Driver) -> None:
        guests = [kit.full_guest(40 + n) for n in range(len(NODES))]
        wanted = kit.desired(
            *(replace(guest, node=node) for guest, node in zip(guests, NODES, strict=True))
        )
        report = await kit.apply(desired=wanted)
        assert (report.ok, report.summary) == (True, {"create": 3})
        there = (await driver.observe(wanted)).guests
        places = {address: guest.place for address, guest in there.items()}
        assert places == {g.address: node for g, node in zip(guests, NODES, strict=True)}
        assert {one.state for one in there.values()} == {"running"}
        assert (await kit.plan(wanted, driver)).changes == ()
        for guest in guests:
            assert guest.ip in await driver.addresses(guest.address)
            assert await inside(driver, guest.address, "echo here") == (0, "here")

    async def test_a_guest_that_was_moved_by_hand(self, kit: DoubleKit, driver: Driver) -> None:
        """It is found where it is, and stays there unless the files name a node."""
        guest = kit.full_guest(43)
        wanted = kit.desired(guest)
        assert (await kit.apply(guest)).ok
        await move(kit, guest, "pve1", "pve3")
        found = await must_see(driver, kit, guest)
        assert (found.place, found.stack, found.state) == ("pve3", kit.stack, "running")
        assert (await kit.plan(wanted, driver)).changes == ()
        await driver.stop(guest.address, quiet)
        await driver.mark(guest.address, "abc")
        await move(kit, guest, "pve3", "pve2")
        assert await update(driver, kit, replace(guest, memory_mb=300)) == {"memory_mb"}
        assert await update(driver, kit, replace(guest, memory_mb=300, raw=())) != set()
        found = await must_see(driver, kit, guest)
        assert (found.place, found.fingerprint) == ("pve2", "abc")

    async def test_the_files_name_another_node(self, kit: DoubleKit, driver: Driver) -> None:
        guest = kit.guest(44)
        assert (await kit.apply(guest)).ok
        wanted = kit.desired(replace(guest, node="pve2"))
        plan = await kit.plan(wanted, driver)
        (change,) = plan.changes
        assert [(f.path, f.before, f.after) for f in change.fields] == [("node", "pve1", "pve2")]
        assert (await kit.walk(plan, wanted, driver)).ok
        found = await must_see(driver, kit, guest)
        assert (found.place, found.state) == ("pve2", "running")
        assert (await kit.plan(wanted, driver)).changes == ()
        (migration,) = (await kit.double.asked()).of("POST", f"/{guest.id}/migrate")
        assert migration.form["target"] == "pve2"

    async def test_a_node_that_is_not_there(self, kit: DoubleKit, driver: Driver) -> None:
        guest = kit.guest(45, node="pve9")
        plan = await kit.plan(kit.desired(guest), driver)
        assert [line for line in plan.refusals if "pve9" in line] == [
            f"{guest.address}: the node pve9 is not there, or offline; there are pve1, pve2, pve3"
        ]

    async def test_a_node_that_is_offline(self, kit: DoubleKit, driver: Driver) -> None:
        """Its guests are unknown, never gone; those of the others are worked on as ever."""
        away, here = kit.guest(46, node="pve2"), kit.guest(47)
        assert (await kit.apply(away, here)).ok
        await kit.double.call("set_node_offline", "pve2")
        try:
            for wanted in (away, replace(away, node=None)):
                await check_unknown(kit, driver, kit.desired(wanted, here), wanted)
            assert await seen(driver, kit, away) is None
            changed = kit.desired(replace(here, memory_mb=300))
            plan = await kit.plan(changed, driver)
            assert plan.refusals == ()
            assert (await kit.walk(plan, changed, driver)).ok
        finally:
            await kit.double.call("set_node_offline", "pve2", offline=False)
        wanted_all = kit.desired(away, replace(here, memory_mb=300))
        assert (await kit.plan(wanted_all, driver)).changes == ()

    async def test_a_storage_that_is_not_on_the_node(self, kit: DoubleKit, driver: Driver) -> None:
        await kit.double.storage(
            "only1", "lvmthin", "rootdir,images", nodes="pve1", vgname="x", thinpool="y"
        )
        guest = kit.guest(48, pool="only1", node="pve2")
        desired = kit.desired(guest)
        plan = await kit.plan(desired, driver)
        assert f"{guest.address}: the storage only1 is not on its node pve2" in plan.refusals

    @pytest.mark.parametrize("shared", [False, True], ids=["local", "shared"])
    async def test_a_clone_on_another_node(
        self, kit: DoubleKit, driver: Driver, shared: bool
    ) -> None:
        """Of a shared storage it is made there; else where its source is, and then moved."""
        pool = "all" if shared else "local-lvm"
        if shared:
            await kit.double.storage("all", "rbd", "rootdir,images", shared=1, pool="rbd")
        number = 52 if shared else 50
        source = kit.guest(number, snapshot_name="ready", pool=pool)
        clone = kit.guest(
            number + 1, source=CloneOf(source.address, "ready"), node="pve2", pool=pool
        )
        await make(driver, kit, source)
        await driver.snapshot(source.address, "ready", quiet)
        await make(driver, kit, clone)
        found = await must_see(driver, kit, clone)
        assert (found.place, found.complete) == ("pve2", True)
        asked = await kit.double.asked()
        (request,) = asked.of("POST", f"/{source.id}/clone")
        assert request.form.get("target") == ("pve2" if shared else None)
        assert len(asked.of("POST", f"/{clone.id}/migrate")) == (0 if shared else 1)


async def check_unknown(kit: DoubleKit, driver: Driver, desired: Desired, guest: Guest) -> None:
    """It is refused, and nothing is planned for the guest."""
    observed = await driver.observe(desired)
    assert observed.unknown[guest.address] == "its node pve2 is offline"
    plan = await kit.plan(desired, driver)
    assert f"{guest.address} can't be seen: its node pve2 is offline" in plan.refusals
    assert [change.address for change in plan.changes] == []


async def move(kit: DoubleKit, guest: Guest, source: str, target: str) -> None:
    """What a person does on Proxmox VE's own pages."""
    async with kit.double.api() as by_hand:
        where = path("nodes", source, "lxc", guest.id, "migrate")
        await by_hand.run("POST", where, target=target, restart=True)
