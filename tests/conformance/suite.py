"""What every driver must do, as tests; a driver passes it by a subclass with a `kit` fixture."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.conformance.kit import Kit
from tests.conformance.snapshots import SnapshotSuite
from tests.conformance.steps import (
    RUN,
    BrokenOff,
    clear,
    inside,
    make,
    must_see,
    quiet,
    seen,
    update,
)
from tests.conformance.variations import VARIATIONS, cost, differences, expected

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.desired import CloneOf, Guest, Nic
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import (
    Conflict,
    DriverError,
    NotFound,
    StackBusy,
    Unsupported,
)
from phoenix_hypervisor.model.observed import SeenGuest


class DriverSuite(SnapshotSuite):
    """The tests. Guests are few and small, since on real targets each takes seconds."""

    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls) -> Kit:
        raise NotImplementedError

    @pytest.fixture
    async def driver(self, kit: Kit) -> AsyncIterator[Driver]:
        async with kit.open() as driver:
            for resource in (kit.the_pool(), kit.the_bridge()):
                if driver.limits.makes_resources:
                    await driver.ensure(resource, kit.stack, quiet)
            yield driver
        await clear(kit, resources=False)

    async def test_a_guest_from_making_to_deleting(self, kit: Kit, driver: Driver) -> None:
        guest = kit.full_guest(0)
        assert await seen(driver, kit, guest) is None

        await driver.create(guest, kit.desired(guest), quiet)
        made = await must_see(driver, kit, guest)
        assert differences(driver.project(guest), made.fields) == []
        assert (made.state, made.stack, made.complete) == ("stopped", kit.stack, True)
        assert (made.name, made.fingerprint, made.snapshots) == (guest.name, None, ())

        for _ in ("starts", "is running already"):
            await driver.start(guest, quiet)
            running = await must_see(driver, kit, guest)
            assert running.state == "running"
        assert differences(driver.project(guest), running.fields) == []
        assert guest.ip in await driver.addresses(guest.address)
        assert guest.ip in running.addresses
        await self.check_way_in(driver, guest)

        for _ in ("stops", "is stopped already"):
            await driver.stop(guest.address, quiet)
            assert (await must_see(driver, kit, guest)).state == "stopped"
        assert not await driver.addresses(guest.address)

        for _ in ("deletes", "is gone already"):
            await driver.delete(guest.address, quiet)
            assert await seen(driver, kit, guest) is None

    async def check_way_in(self, driver: Driver, guest: Guest) -> None:
        if not driver.has_inside:
            with pytest.raises(Unsupported):
                await driver.way_in(guest.address)
            with pytest.raises(Unsupported):
                await driver.terminal(guest.address)
            return
        assert await inside(driver, guest.address, "echo here; exit 7") == (7, "here")
        assert await inside(driver, guest.address, "id -u; cat /etc/hostname") == (
            0,
            f"0\n{guest.name}",
        )
        assert (await driver.terminal(guest.address))[0]

    async def test_each_field_changes_at_rest(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(1)
        await make(driver, kit, guest)
        for variation in VARIATIONS:
            if variation.title in kit.fixed:
                continue
            guest = variation.edit(guest, kit)
            assert await update(driver, kit, guest) == expected(variation, kit), variation.title
            after = await must_see(driver, kit, guest)
            assert differences(driver.project(guest), after.fields) == [], variation.title
            assert after.state == "stopped", variation.title

    async def test_live_fields_change_while_it_runs(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(2)
        await make(driver, kit, guest)
        await driver.start(guest, quiet)
        for variation in VARIATIONS:
            edited = variation.edit(guest, kit)
            if cost(variation, kit) is not Impact.LIVE or variation.title in kit.fixed:
                continue
            guest = edited
            assert await update(driver, kit, guest) == expected(variation, kit), variation.title
            after = await must_see(driver, kit, guest)
            assert differences(driver.project(guest), after.fields) == [], variation.title
            assert after.state == "running", variation.title

    async def test_impacts(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(3)
        fields = dict(driver.project(guest))
        for variation in VARIATIONS:
            there = SeenGuest(guest.address, guest.name, "running", kit.stack, fields=fields)
            guest = variation.edit(guest, kit)
            changes = differences(driver.project(guest), fields)
            impacts = {driver.impact(guest, there, change) for change in changes}
            assert impacts <= {cost(variation, kit)}, variation.title
            fields = dict(driver.project(guest))

    async def test_a_smaller_disk_is_never_an_innocent_change(
        self, kit: Kit, driver: Driver
    ) -> None:
        guest = kit.guest(3)
        there = SeenGuest(guest.address, guest.name, "running", fields=driver.project(guest))
        smaller = replace(guest, disk_gb=1)
        changes = differences(driver.project(smaller), there.fields)
        assert [driver.impact(smaller, there, c) for c in changes] == [Impact.DESTRUCTIVE]

    async def test_a_snapshot_keeps_the_fingerprint_of_its_time(
        self, kit: Kit, driver: Driver
    ) -> None:
        guest = kit.guest(4, snapshot_name="ready")
        await make(driver, kit, guest, "first")
        assert (await must_see(driver, kit, guest)).fingerprint == "first"
        await driver.snapshot(guest.address, "ready", quiet)
        await driver.mark(guest.address, "second")

        after = await must_see(driver, kit, guest)
        assert after.fingerprint == "second"
        assert [(s.name, s.fingerprint) for s in after.snapshots] == [("ready", "first")]

        await driver.snapshot(guest.address, "ready", quiet)
        await driver.mark(guest.address, None)
        after = await must_see(driver, kit, guest)
        assert (after.fingerprint, after.complete) == (None, True)
        assert [(s.name, s.fingerprint) for s in after.snapshots] == [("ready", "second")]

    async def test_clones_of_one_source(self, kit: Kit, driver: Driver) -> None:
        source = kit.guest(5)
        await make(driver, kit, source, "of-the-source")
        await self.write_inside(driver, source, "as in the snapshot")
        await driver.snapshot(source.address, "ready", quiet)
        await self.write_inside(driver, source, "later")
        before = await must_see(driver, kit, source)

        clones = [
            kit.guest(6 + n, source=CloneOf(source.address, "ready"), memory_mb=300 + n, disk_gb=3)
            for n in range(2)
        ]
        at_once = asyncio.Semaphore(driver.limits.clones_per_source)

        async def clone(guest: Guest) -> None:
            async with at_once:
                await driver.create(guest, kit.desired(source, *clones), quiet)

        await asyncio.gather(*(clone(guest) for guest in clones))
        there = (await driver.observe(kit.desired(source, *clones))).guests
        for guest in clones:
            made = there[guest.address]
            assert differences(driver.project(guest), made.fields) == []
            assert (made.stack, made.complete, made.fingerprint) == (kit.stack, True, None)
            assert (made.state, made.snapshots) == ("stopped", ())
        assert there[source.address] == before

        await driver.mark(clones[0].address, "of-the-clone")
        assert (await must_see(driver, kit, clones[0])).fingerprint == "of-the-clone"
        assert (await must_see(driver, kit, source)).fingerprint == "of-the-source"
        if driver.has_inside:
            await driver.start(clones[0], quiet)
            said = await inside(driver, clones[0].address, "cat /root/note; cat /etc/hostname")
            assert said == (0, f"as in the snapshot\n{clones[0].name}")

    async def write_inside(self, driver: Driver, guest: Guest, note: str) -> None:
        if driver.has_inside:
            await driver.start(guest, quiet)
            assert await inside(driver, guest.address, f"echo {note} >/root/note") == (0, "")
            await driver.stop(guest.address, quiet)

    async def test_a_clone_without_its_source_or_snapshot(self, kit: Kit, driver: Driver) -> None:
        source = kit.guest(9)
        clone = kit.guest(10, source=CloneOf(source.address, "ready"))
        with pytest.raises(DriverError):
            await driver.create(clone, kit.desired(clone), quiet)
        await make(driver, kit, source)
        with pytest.raises(DriverError):
            await driver.create(clone, kit.desired(source, clone), quiet)
        await driver.snapshot(source.address, "ready", quiet)
        await driver.create(clone, kit.desired(source, clone), quiet)
        assert differences(driver.project(clone), (await must_see(driver, kit, clone)).fields) == []

    async def test_a_guest_made_by_hand_is_left_alone(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(11)
        await kit.make_foreign(guest.address)
        try:
            before = await must_see(driver, kit, guest)
            assert before.stack is None
            await self.check_left_alone(kit, driver, guest, before)
        finally:
            await kit.remove_foreign(guest.address)

    async def test_a_guest_of_another_stack_is_left_alone(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(12)
        async with kit.open(kit.other_stack) as other:
            await make(other, kit, guest, "theirs")
            before = await must_see(driver, kit, guest)
            assert before.stack == kit.other_stack
            await self.check_left_alone(kit, driver, guest, before)

    async def check_left_alone(
        self, kit: Kit, driver: Driver, guest: Guest, before: SeenGuest
    ) -> None:
        changes = differences({"memory_mb": 999}, {})
        for touch in (
            driver.create(guest, kit.desired(guest), quiet),
            driver.update(guest, before, changes, quiet),
            driver.start(guest, quiet),
            driver.stop(guest.address, quiet),
            driver.snapshot(guest.address, "ready", quiet),
            driver.mark(guest.address, "mine"),
            driver.delete(guest.address, quiet),
        ):
            with pytest.raises(Conflict):
                await touch
        assert await seen(driver, kit, guest) == before

    async def test_a_half_made_guest_is_made_anew(self, kit: Kit, driver: Driver) -> None:
        """A create is broken off wherever it tells something, and done again each time."""
        guest = kit.guest(13)
        for at in range(1, 20):
            told: list[str] = []

            def break_off(text: str, told: list[str] = told, at: int = at) -> None:
                told.append(text)
                if len(told) == at:
                    raise BrokenOff

            wanted = replace(guest, memory_mb=256 + at)
            try:
                await driver.create(wanted, kit.desired(wanted), break_off)
            except BrokenOff:
                half = await seen(driver, kit, guest)
                assert half is None or (half.stack == kit.stack and not half.complete)
            else:
                break
        made = await must_see(driver, kit, wanted)
        assert differences(driver.project(wanted), made.fields) == []
        assert made.complete
        assert at > 1, "a create tells nothing"

        with pytest.raises(Conflict):
            await driver.create(guest, kit.desired(guest), quiet)
        assert await must_see(driver, kit, wanted) == made

    async def test_guests_made_at_once(self, kit: Kit, driver: Driver) -> None:
        guests = [kit.guest(14 + n) for n in range(2)]
        desired = kit.desired(*guests)
        await asyncio.gather(*(driver.create(guest, desired, quiet) for guest in guests))
        there = (await driver.observe(desired)).guests
        for guest in guests:
            assert differences(driver.project(guest), there[guest.address].fields) == []

    async def test_a_broken_create_is_no_guest(self, kit: Kit, driver: Driver) -> None:
        lost = kit.guest(18, nics=(Nic("eth0", "cfnone0", kit.ip(18)),))
        for guest in (lost, kit.guest(19, pool="cfnone")):
            with pytest.raises(DriverError):
                await driver.create(guest, kit.desired(guest), quiet)
            left = await seen(driver, kit, guest)
            assert left is None or not left.complete

    async def test_a_protected_guest_is_not_deleted(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(20, protected=True)
        await make(driver, kit, guest)
        with pytest.raises(DriverError):
            await driver.delete(guest.address, quiet)
        before = await must_see(driver, kit, guest)
        assert before.protected
        assert await update(driver, kit, replace(guest, protected=False)) == {"protected"}
        assert not (await must_see(driver, kit, guest)).protected
        await driver.delete(guest.address, quiet)

    async def test_what_is_not_there(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(21)
        ghost = SeenGuest(guest.address, guest.name, "stopped", kit.stack)
        for call in (
            driver.start(guest, quiet),
            driver.stop(guest.address, quiet),
            driver.update(guest, ghost, differences({"memory_mb": 999}, {}), quiet),
            driver.snapshot(guest.address, "ready", quiet),
            driver.mark(guest.address, "mine"),
            driver.addresses(guest.address),
        ):
            with pytest.raises(NotFound):
                await call
        for resource in (addresses.bridge("cfnone0"), addresses.storage("cfnone")):
            made = driver.limits.makes_resources
            with pytest.raises(NotFound if made else Unsupported):
                await driver.remove(resource)

    async def test_pools_and_bridges(self, kit: Kit, driver: Driver) -> None:
        pool, bridge = kit.the_pool(), kit.the_bridge()
        if not driver.limits.makes_resources:
            await self.check_resources_are_the_hosts(kit, driver)
            return
        await make(driver, kit, kit.guest(22))
        there = (await driver.observe(kit.desired())).resources
        for resource in (pool, bridge):
            assert there[resource.address].stack == kit.stack
            assert differences(driver.project(resource), there[resource.address].fields) == []
            with pytest.raises(Conflict):  # the guest uses it
                await driver.remove(resource.address)
        assert set(there) <= set((await driver.observe(kit.desired())).resources)

    async def check_resources_are_the_hosts(self, kit: Kit, driver: Driver) -> None:
        pool, bridge = kit.the_pool(), kit.the_bridge()
        there = (await driver.observe(kit.desired())).resources
        assert [there[one.address].stack for one in (pool, bridge)] == [None, None]
        for resource in (pool, bridge):
            with pytest.raises(Unsupported):
                await driver.ensure(resource, kit.stack, quiet)
            with pytest.raises(Unsupported):
                await driver.remove(resource.address)

    async def test_a_bridge_of_another_stack(self, kit: Kit, driver: Driver) -> None:
        theirs = kit.second_bridge()
        if not driver.limits.makes_resources:
            with pytest.raises(Unsupported):
                await driver.ensure(theirs, kit.stack, quiet)
            return
        desired = replace(kit.desired(), bridges={theirs.address: theirs})
        async with kit.open(kit.other_stack) as other:
            await other.ensure(theirs, kit.other_stack, quiet)
            await driver.ensure(theirs, kit.stack, quiet)  # used as it is
            seen_there = (await driver.observe(desired)).resources[theirs.address]
            assert seen_there.stack == kit.other_stack
            with pytest.raises(Conflict):
                await driver.remove(theirs.address)
            await other.remove(theirs.address)
            assert theirs.address not in (await other.observe(desired)).resources

    async def test_a_guest_is_adopted_as_it_is(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(25)
        await make(driver, kit, kit.guest(26))  # the stack is there already
        await kit.make_foreign(guest.address)
        try:
            before = await must_see(driver, kit, guest)
            assert before.stack is None
            await driver.adopt(guest, quiet)
            mine = await must_see(driver, kit, guest)
            assert (mine.stack, mine.complete, mine.state) == (kit.stack, True, before.state)
            assert mine.fingerprint is None
            async with kit.open(kit.other_stack) as other:
                with pytest.raises(Conflict):
                    await other.adopt(guest, quiet)
        finally:
            await kit.remove_foreign(guest.address)

    async def test_estimates_and_problems(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(23)
        for step in ("create", "start", "stop", "update", "snapshot", "delete", "configure"):
            assert driver.estimate(step, guest) >= 0
        assert driver.estimate("ensure", None) >= 0
        desired = kit.desired(guest)
        assert list(driver.problems(desired, await driver.observe(desired))) == []
        assert driver.limits.parallel >= 1
        assert driver.limits.clones_per_source >= 1
        assert driver.name == kit.driver

    async def test_one_holds_a_stack(self, kit: Kit, driver: Driver) -> None:
        async with kit.open() as second, driver.hold(kit.stack, RUN):
            with pytest.raises(StackBusy, match=r"phoenix apply --yes.* by ada") as caught:
                async with second.hold(kit.stack, replace(RUN, id="run-2")):
                    pytest.fail("two hold one stack")
            assert kit.stack in caught.value.message
            async with second.hold(kit.other_stack, RUN):
                pass
        async with driver.hold(kit.stack, RUN):
            pass  # it was let go
