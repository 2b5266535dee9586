"""The Incus driver passes the suite on real containers."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from tests.conformance.kit import Kit
from tests.conformance.shared import SharedDriverSuite
from tests.conformance.steps import clear, inside, make, must_see, quiet, update
from tests.conformance.variations import differences
from tests.support import lab

from phoenix_hypervisor.drivers.incus import driver as incus_driver
from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.model.address import Address, storage
from phoenix_hypervisor.model.desired import Nic, Target, Volume
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import Conflict

pytestmark = pytest.mark.incus


@dataclass(frozen=True)
class IncusKit(Kit):
    @property
    def project(self) -> str:
        return self.target.project

    async def make_foreign(self, address: Address) -> None:
        name = names.instance(address)
        where = ("--project", self.project, "--storage", self.pool, "--no-profiles")
        await asyncio.to_thread(lab.incus, "create", "--empty", name, *where)

    async def remove_foreign(self, address: Address) -> None:
        name = names.instance(address)
        await asyncio.to_thread(lab.incus, "delete", "--project", self.project, name)

    async def volumes(self, pool: str) -> list[str]:
        path = f"/1.0/storage-pools/{pool}/volumes/custom?recursion=1&project={self.project}"
        return [one["name"] for one in await asyncio.to_thread(lab.query, path)]


@pytest.mark.usefixtures("incus_daemon")
class TestIncus(SharedDriverSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
        corner = lab.Lab("d")
        folder = tmp_path_factory.mktemp("incus")
        for parent in (folder, *folder.parents):  # the guests' root must get to the mounts
            if parent.owner() == "root" and str(parent) not in ("/", "/tmp"):
                parent.chmod(0o755)
        kit = IncusKit(
            driver="incus",
            folder=folder,
            template="debian-13-standard",
            pool=corner.name,
            bridge=corner.name,
            cidr=f"{corner.subnet()}.1/24",
            target=Target(project=corner.name),
            environ=dict(os.environ),
            raw=("lxc.environment", "CONFORMANCE=1"),
            left_out=frozenset({"gpus", "apparmor_profile"}),
        )
        yield kit
        asyncio.run(clear(kit, resources=True))
        lab.clear(corner.name)

    async def test_volumes_of_a_guest_that_was_removed_by_hand(
        self, kit: IncusKit, driver: Driver
    ) -> None:
        guest = kit.guest(30, volumes=(Volume("data", None, 1, "/srv/data"),))
        await make(driver, kit, guest)
        await kit.remove_foreign(guest.address)
        await driver.delete(guest.address, quiet, keep_volumes=True)
        assert await kit.volumes(kit.pool) == [f"lxc-{guest.id}-data"]
        await driver.delete(guest.address, quiet)
        assert await kit.volumes(kit.pool) == []

    async def test_the_drivers_own_pool(
        self, kit: IncusKit, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is made by the first guest that names none; volumes move to it, and go with it."""
        own = f"{kit.pool}b"
        monkeypatch.setattr(incus_driver, "_DEFAULT_POOL", own)
        odd = Volume("my data/1", kit.pool, None, "/srv/data")
        guest = kit.guest(31, pool=None, volumes=(odd,), nics=(Nic("root", kit.bridge),))
        async with kit.open() as opened:
            await make(opened, kit, guest)
            there = await opened.observe(kit.desired(guest))
            assert there.resources[storage(own)].stack == kit.stack
            made = await must_see(opened, kit, guest)
            assert differences(opened.project(guest), made.fields) == []
            (name,) = await kit.volumes(kit.pool)

            moved = replace(guest, volumes=(replace(odd, pool=None),))
            assert await update(opened, kit, moved) == {"volumes.my data/1.pool"}
            assert (await kit.volumes(kit.pool), await kit.volumes(own)) == ([], [name])

            await kit.remove_foreign(guest.address)
            await opened.remove(storage(own))
            assert storage(own) not in (await opened.observe(kit.desired())).resources

    async def test_back_to_before_it_was_taken_over(self, kit: IncusKit, driver: Driver) -> None:
        """The guest stays the stack's: else the next plan would leave it to somebody else."""
        guest = kit.guest(32)
        await make(driver, kit, kit.guest(33))  # the stack is there already
        await kit.make_foreign(guest.address)
        where = ("--project", kit.project, names.instance(guest.address))
        await asyncio.to_thread(lab.incus, "snapshot", "create", *where, "byhand")
        await driver.adopt(guest, quiet)
        await driver.mark(guest.address, "configured")
        (one,) = await driver.snapshots(guest.address)
        assert (one.name, one.stack, one.whole) == ("byhand", None, True)
        await driver.rollback(guest.address, "byhand", quiet)
        back = await must_see(driver, kit, guest)
        assert (back.stack, back.complete, back.fingerprint) == (kit.stack, True, None)

    async def test_a_volume_that_a_snapshot_lacks(self, kit: IncusKit, driver: Driver) -> None:
        """One taken by hand holds no volume: their data stays, and that is told."""
        guest = kit.guest(34, volumes=(Volume("data", None, 1, "/var/lib/data"),))
        await make(driver, kit, guest, "one")
        where = ("--project", kit.project, names.instance(guest.address))
        await asyncio.to_thread(lab.incus, "snapshot", "create", *where, "byhand")
        (one,) = await driver.snapshots(guest.address)
        assert one.left == (f"lxc-{guest.id}-data",)
        await self.note(driver, guest, "now")
        await driver.rollback(guest.address, "byhand", quiet)
        await driver.start(guest, quiet)
        said = await inside(driver, guest.address, "cat /var/lib/data/note; ls /root/note")
        assert said == (2, "now")

    async def test_what_a_broken_off_snapshot_left(self, kit: IncusKit, driver: Driver) -> None:
        """The volumes come first, so it is a volume's: it is listed, deleted and taken anew."""
        guest = kit.guest(36, volumes=(Volume("data", None, 1, "/var/lib/data"),))
        await make(driver, kit, guest)
        volume = ("--project", kit.project, kit.pool, f"lxc-{guest.id}-data", "half")
        for again in ("delete", "take"):
            await asyncio.to_thread(lab.incus, "storage", "volume", "snapshot", "create", *volume)
            (one,) = await driver.snapshots(guest.address)
            assert (one.name, one.whole, one.left) == ("half", False, ())
            with pytest.raises(Conflict, match="not whole"):
                await driver.rollback(guest.address, "half", quiet)
            if again == "delete":
                await driver.delete_snapshot(guest.address, "half", quiet)
                assert list(await driver.snapshots(guest.address)) == []
                assert await kit.volumes(kit.pool) == [f"lxc-{guest.id}-data"]
        await driver.snapshot(guest.address, "half", quiet, stand_in=False)
        assert [one.whole for one in await driver.snapshots(guest.address)] == [True]

    async def test_snapshots_go_with_a_guest_whose_volumes_stay(
        self, kit: IncusKit, driver: Driver
    ) -> None:
        guest = kit.guest(35, volumes=(Volume("data", None, 1, "/var/lib/data"),))
        await make(driver, kit, guest)
        await driver.snapshot(guest.address, "ours", quiet)
        assert await kit.volumes(kit.pool) == [f"lxc-{guest.id}-data", f"lxc-{guest.id}-data/ours"]
        await driver.delete(guest.address, quiet, keep_volumes=True)
        assert await kit.volumes(kit.pool) == [f"lxc-{guest.id}-data"]
        await driver.delete(guest.address, quiet)
        assert await kit.volumes(kit.pool) == []
