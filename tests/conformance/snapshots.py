"""What every driver must do with snapshots: part of the suite."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.conformance.kit import Kit
from tests.conformance.steps import inside, make, must_see, quiet, update
from tests.conformance.variations import differences

from phoenix_hypervisor.model.desired import Guest, Volume
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import Conflict, NotFound


class SnapshotSuite:
    """The tests; `kit` and `driver` are the suite's."""

    async def test_back_to_a_snapshot(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(27, volumes=(Volume("data", kit.pool, 1, "/var/lib/data"),))
        changed = replace(guest, memory_mb=320)
        await make(driver, kit, guest, "one")
        assert list(await driver.snapshots(guest.address)) == []
        await self.note(driver, guest, "then")
        await driver.snapshot(guest.address, "first-one", quiet, stand_in=False)
        await self.note(driver, guest, "later")
        assert await update(driver, kit, changed) == {"memory_mb"}
        await driver.mark(guest.address, "two")

        (one,) = await driver.snapshots(guest.address)
        assert (one.name, one.stack, one.fingerprint) == ("first-one", kit.stack, "one")
        assert (one.whole, one.above, one.left) == (True, (), ())
        assert one.taken is not None
        assert abs(datetime.now(UTC) - one.taken) < timedelta(minutes=10)

        for _ in ("goes back", "goes back again, as after a lost answer"):
            await driver.rollback(guest.address, "first-one", quiet)
        back = await must_see(driver, kit, guest)
        assert (back.stack, back.complete, back.state) == (kit.stack, True, "stopped")
        assert back.fingerprint == "one"
        assert differences(driver.project(guest), back.fields) == []
        if driver.has_inside:
            await driver.start(guest, quiet)
            said = await inside(driver, guest.address, "cat /root/note /var/lib/data/note")
            assert said == (0, "then\nthen")
            with pytest.raises(Conflict, match="runs"):
                await driver.rollback(guest.address, "first-one", quiet)

    async def note(self, driver: Driver, guest: Guest, word: str) -> None:
        if driver.has_inside:
            await driver.start(guest, quiet)
            script = f"echo {word} | tee /root/note >/var/lib/data/note"
            assert await inside(driver, guest.address, script) == (0, "")
            await driver.stop(guest.address, quiet)

    async def test_snapshots_are_told_in_their_order_and_deleted(
        self, kit: Kit, driver: Driver
    ) -> None:
        guest = kit.guest(28, volumes=(Volume("data", kit.pool, 1, "/var/lib/data"),))
        await make(driver, kit, guest, "one")
        for name in ("zebra", "Mid-2_x", "ant"):
            await driver.snapshot(guest.address, name, quiet)
        names = [one.name for one in await driver.snapshots(guest.address)]
        assert names == ["zebra", "Mid-2_x", "ant"]

        await driver.delete_snapshot(guest.address, "Mid-2_x", quiet)
        assert [one.name for one in await driver.snapshots(guest.address)] == ["zebra", "ant"]
        for call in (driver.delete_snapshot, driver.rollback):
            with pytest.raises(NotFound):
                await call(guest.address, "Mid-2_x", quiet)
        before = await must_see(driver, kit, guest)
        assert (before.fingerprint, before.state) == ("one", "stopped")
        with pytest.raises(NotFound):
            await driver.snapshots(kit.guest(29).address)

    async def test_snapshots_of_others_are_left_alone(self, kit: Kit, driver: Driver) -> None:
        guest = kit.guest(29)
        async with kit.open(kit.other_stack) as other:
            await make(other, kit, guest, "theirs")
            await other.snapshot(guest.address, "theirs", quiet)
            for call in (driver.rollback, driver.delete_snapshot, driver.snapshot):
                with pytest.raises(Conflict):
                    await call(guest.address, "theirs", quiet)
            (one,) = await other.snapshots(guest.address)
            assert (one.name, one.stack) == ("theirs", kit.other_stack)
