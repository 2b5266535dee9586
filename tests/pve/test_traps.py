"""What users of other tools suffer from, on a real node: locks, mounts, rollbacks, left-overs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.conformance.steps import clear, make, must_see, quiet, seen, update
from tests.conformance.variations import differences
from tests.pve.node import PveKit, Setting

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.model.desired import Guest, Image, Mount, Nic, Volume
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import Locked
from phoenix_hypervisor.plan import make as planning
from phoenix_hypervisor.plan.options import Options

pytestmark = pytest.mark.pve


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> PveKit:
    return PveKit.make(tmp_path_factory.mktemp("pve-traps"), Setting())


@pytest.fixture
async def driver(kit: PveKit) -> AsyncIterator[Driver]:
    await clear(kit, resources=False)
    async with kit.open() as driver:
        yield driver
    await clear(kit, resources=False)
    await kit.clear_folders()


@pytest.fixture
async def by_hand(kit: PveKit) -> AsyncIterator[Api]:
    """The API, as somebody uses it who does not know Phoenix."""
    async with kit.setting.api() as api:
        yield api


def _where(kit: PveKit, guest: Guest, *more: str) -> str:
    return path("nodes", kit.setting.get("NODE"), "lxc", guest.id, *more)


async def _refusals(driver: Driver, kit: PveKit, *guests: Guest) -> str:
    desired = kit.desired(*guests)
    plan = planning.make(desired, await driver.observe(desired), driver, Options())
    return "\n".join(plan.refusals)


async def test_bind_mounts_and_snapshots_go_together(
    kit: PveKit, driver: Driver, by_hand: Api
) -> None:
    """Proxmox VE's own snapshot is refused; after a rollback the plan puts the mount back."""
    mount = Mount(kit.host_folder("kept"), "/srv/kept")
    guest = kit.guest(50, mounts=(mount,), snapshot_name="ready")
    await make(driver, kit, guest, "first")
    await driver.snapshot(guest.address, "ready", quiet)
    there = await must_see(driver, kit, guest)
    assert differences(driver.project(guest), there.fields) == []
    assert [one.name for one in there.snapshots] == ["ready"]

    await by_hand.run("POST", _where(kit, guest, "snapshot", "ready", "rollback"))
    changes = differences(driver.project(guest), (await must_see(driver, kit, guest)).fields)
    assert {change.path.partition(".")[0] for change in changes} == {"mounts"}
    await update(driver, kit, guest)
    there = await must_see(driver, kit, guest)
    assert differences(driver.project(guest), there.fields) == []


async def test_a_rollback_by_hand_takes_the_fingerprint_back(
    kit: PveKit, driver: Driver, by_hand: Api
) -> None:
    """Notes stay as they are at a rollback, so the truth about the inside is in the tags."""
    guest = kit.guest(51, description="told to people")
    await make(driver, kit, guest, "old")
    await by_hand.run("POST", _where(kit, guest, "snapshot"), snapname="byhand")
    await driver.mark(guest.address, "new")
    await by_hand.run("POST", _where(kit, guest, "snapshot", "byhand", "rollback"))
    there = await must_see(driver, kit, guest)
    assert (there.fingerprint, there.stack, there.complete) == ("old", kit.stack, True)
    assert differences(driver.project(guest), there.fields) == []


async def test_a_locked_guest_is_waited_for(kit: PveKit, driver: Driver, by_hand: Api) -> None:
    guest = kit.guest(52)
    await make(driver, kit, guest)
    await by_hand.put(_where(kit, guest, "config"), lock="backup")
    wanted = replace(guest, memory_mb=300)
    with pytest.raises(Locked, match=r"locked \(backup\)"):
        await update(driver, kit, wanted)
    await kit.as_root(f"pct unlock {guest.id}")
    assert await update(driver, kit, wanted) == {"memory_mb"}


async def test_what_is_half_made_and_locked_is_made_anew(
    kit: PveKit, driver: Driver, by_hand: Api
) -> None:
    """No call of the API takes a `create` lock away; the node does."""
    guest = kit.guest(53)
    await kit.make_foreign(guest.address)
    note = Notes(stack=kit.stack, making=True).write(guest.id)
    await by_hand.put(_where(kit, guest, "config"), description=note, lock="create")
    half = await seen(driver, kit, guest)
    assert half is not None
    assert (half.stack, half.complete) == (kit.stack, False)
    await driver.create(guest, kit.desired(guest), quiet)
    assert (await must_see(driver, kit, guest)).complete


async def test_a_volume_that_goes_leaves_nothing_behind(
    kit: PveKit, driver: Driver, by_hand: Api
) -> None:
    volumes = (Volume("a", kit.pool, 1, "/srv/a"), Volume("b", kit.pool, 1, "/srv/b"))
    guest = kit.guest(54, volumes=volumes)
    await make(driver, kit, guest)
    await update(driver, kit, replace(guest, volumes=volumes[1:]))
    config = await by_hand.get(_where(kit, guest, "config"))
    assert [key for key in config if key.startswith("unused")] == []
    where = path("nodes", kit.setting.get("NODE"), "storage", kit.pool, "content")
    rows = await by_hand.get(where, vmid=guest.id)
    assert len(rows) == 2  # its root disk, and the volume that stays
    assert "mp=/srv/b" in "".join(str(value) for value in config.values())


async def test_what_a_plan_refuses_is_told_before_anything_changes(
    kit: PveKit, driver: Driver
) -> None:
    away = kit.guest(55, node="no-such-node")
    assert "no-such-node is not there, or offline" in await _refusals(driver, kit, away)
    bridge = kit.guest(55, nics=(Nic("eth0", "nobridge9", kit.ip(55)),))
    desired = kit.desired(bridge)
    other = replace(kit.the_bridge(), name="nobridge9", address=kit.bridge_address("nobridge9"))
    desired = replace(desired, bridges={other.address: other})
    plan = planning.make(desired, await driver.observe(desired), driver, Options())
    assert any("bridge/nobridge9" in line for line in plan.refusals)
    image = kit.guest(55, source=Image("no-such-template"))
    assert "no-such-template" in await _refusals(driver, kit, image)


async def test_a_bridge_that_is_not_there_does_not_take_the_card(
    kit: PveKit, driver: Driver
) -> None:
    """Proxmox VE drops the running card and leaves the bad value pending; so it is told before."""
    guest = kit.guest(56)
    await make(driver, kit, guest)
    await driver.start(guest, quiet)
    bad = replace(guest, nics=(replace(guest.nics[0], bridge="nobridge9"),))
    other = replace(kit.the_bridge(), name="nobridge9", address=kit.bridge_address("nobridge9"))
    desired = replace(kit.desired(bad), bridges={other.address: other})
    plan = planning.make(desired, await driver.observe(desired), driver, Options())
    assert plan.refusals
    there = await must_see(driver, kit, guest)
    assert differences(driver.project(guest), there.fields) == []
    assert guest.ip in await driver.addresses(guest.address)


async def test_many_at_once(kit: PveKit, driver: Driver) -> None:
    """Two made at once: others lock each other out."""
    guests = [kit.guest(57 + n) for n in range(3)]
    desired = kit.desired(*guests)
    await asyncio.gather(*(driver.create(guest, desired, quiet) for guest in guests))
    there = (await driver.observe(desired)).guests
    assert [there[guest.address].complete for guest in guests] == [True] * 3
