"""What only the simulated node has: faults on order, time, locks, capacity and its file."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.sim import Faults, FileStore, MemoryStore, SimDriver, Store, Timing
from phoenix_hypervisor.drivers.sim import store as sim_store
from phoenix_hypervisor.drivers.sim.store import KeptGuest
from phoenix_hypervisor.model.address import bridge, lxc, storage, vm
from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.desired import (
    Bridge,
    Capacity,
    CloneOf,
    Desired,
    Guest,
    Host,
    Image,
    Nic,
    Pool,
)
from phoenix_hypervisor.model.errors import (
    Conflict,
    DriverError,
    Locked,
    NotFound,
    Retryable,
    UnknownOutcome,
    Unreachable,
    Unsupported,
    UsageError,
)

POOL = Pool(storage("tank"), "tank")
BRIDGE = Bridge(bridge("vmbr0"), "vmbr0", "10.0.0.1/29")


def quiet(text: str) -> None:
    assert "nothing real was made" in text


def container(number: int, **words: object) -> Guest:
    given = {
        "address": lxc(number),
        "kind": "lxc",
        "id": number,
        "name": f"g{number}",
        "source": Image("any"),
        "memory_mb": 512,
        "cores": 1,
        "pool": "tank",
        "disk_gb": 4,
    }
    return Guest(**(given | words))  # type: ignore[arg-type] # the tests' own words


def machine(number: int, **words: object) -> Guest:
    return container(number, address=vm(number), kind="vm", **words)


def wanted(*guests: Guest, capacity: Capacity | None = None) -> Desired:
    return Desired(
        folder=Path("/"),
        stack="shop",
        host=Host(capacity=capacity or Capacity()),
        guests={guest.address: guest for guest in guests},
        pools={POOL.address: POOL},
        bridges={BRIDGE.address: BRIDGE},
    )


class Node:
    """A driver over a node in memory with a pool and a bridge."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.faults = Faults()
        self.store = MemoryStore()
        self.driver = SimDriver("shop", self.store, self.faults, timing or Timing())

    async def ready(self) -> "Node":
        await self.driver.ensure(POOL, "shop", quiet)
        await self.driver.ensure(BRIDGE, "shop", quiet)
        return self

    async def create(self, guest: Guest, capacity: Capacity | None = None) -> None:
        await self.driver.create(guest, wanted(guest, capacity=capacity), quiet)


@pytest.fixture
async def node() -> Node:
    return await Node().ready()


async def test_a_fault_before_leaves_nothing(node: Node) -> None:
    node.faults.fail("create", "lxc/101", Retryable("the node is busy"), times=2)
    for _ in range(2):
        with pytest.raises(Retryable, match="the node is busy"):
            await node.create(container(101))
        assert not node.store.read().guests
    await node.create(container(102))  # another one is not concerned
    await node.create(container(101))
    assert node.faults.left == 0


async def test_a_fault_after_has_done_it(node: Node) -> None:
    node.faults.fail("create", "lxc/101", UnknownOutcome("no answer"), when="after")
    with pytest.raises(UnknownOutcome):
        await node.create(container(101))
    assert node.store.read().guests["lxc/101"].complete


async def test_a_fault_halfway_leaves_a_half_made_guest(node: Node) -> None:
    node.faults.fail("create", "lxc/101", Unreachable("gone"), when="halfway")
    with pytest.raises(Unreachable):
        await node.create(container(101))
    half = node.store.read().guests["lxc/101"]
    assert (half.complete, half.stack, "memory_mb" in half.fields) == (False, "shop", False)
    await node.create(container(101))
    assert node.store.read().guests["lxc/101"].complete


async def test_a_fault_halfway_through_an_update(node: Node) -> None:
    await node.create(container(101))
    changed = container(101, memory_mb=1024, cores=2)
    seen = (await node.driver.observe(wanted())).guests[lxc(101)]
    changes = [FieldChange("cores", 1, 2), FieldChange("memory_mb", 512, 1024)]
    node.faults.fail("update", None, Unreachable("gone"), when="halfway")
    with pytest.raises(Unreachable):
        await node.driver.update(changed, seen, changes, quiet)
    fields = node.store.read().guests["lxc/101"].fields
    assert (fields["cores"], fields["memory_mb"]) == (2, 512)
    with pytest.raises(Conflict, match="cores was changed since the plan was made"):
        await node.driver.update(changed, seen, changes, quiet)


async def test_a_fault_halfway_through_what_has_no_half(node: Node) -> None:
    await node.create(container(101))
    node.faults.fail("start", "lxc/101", Unreachable("gone"), when="halfway")
    with pytest.raises(Unreachable):
        await node.driver.start(container(101), quiet)
    assert node.store.read().guests["lxc/101"].state == "stopped"


async def test_a_node_that_can_not_be_seen(node: Node) -> None:
    node.faults.fail("observe", None, Unreachable("the node is off"))
    with pytest.raises(Unreachable):
        await node.driver.observe(wanted())
    await node.driver.observe(wanted())


async def test_a_clone_locks_its_source() -> None:
    node = await Node(Timing(seconds={"clone": 0.2})).ready()
    await node.create(container(900))
    clones = [container(n, source=CloneOf(lxc(900), None)) for n in (101, 102)]
    first = asyncio.create_task(node.create(clones[0]))
    await asyncio.sleep(0.05)
    for touch in (
        node.create(clones[1]),
        node.driver.start(container(900), quiet),
        node.driver.delete(lxc(900), quiet),
    ):
        with pytest.raises(Locked, match="lxc/900 is locked: lxc/101 is cloned from it"):
            await touch
    assert "lxc/102" not in node.store.read().guests
    await first
    await node.create(clones[1])


async def test_a_cancelled_clone_unlocks_and_is_half_made() -> None:
    node = await Node(Timing(seconds={"clone": 5})).ready()
    await node.create(container(900))
    cloning = asyncio.create_task(node.create(container(101, source=CloneOf(lxc(900), None))))
    await asyncio.sleep(0.05)
    cloning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cloning
    assert not node.store.read().guests["lxc/101"].complete
    await node.driver.start(container(900), quiet)


async def test_steps_take_their_time_side_by_side() -> None:
    node = await Node(Timing(default_s=0.0, seconds={"create": 0.2})).ready()
    guests = [container(n) for n in range(101, 121)]
    began = time.monotonic()
    await asyncio.gather(*(node.create(guest) for guest in guests))
    assert 0.19 < time.monotonic() - began < 1.0
    assert node.driver.estimate("create", guests[0]) == 0.2


@pytest.mark.parametrize(
    ("guest", "capacity", "told"),
    [
        (container(101, cores=9), Capacity(cores=8), "9 cores are wanted, the node has 8"),
        (
            container(101, disk_gb=50),
            Capacity(storage_gb=49),
            "disks and volumes want 50 GB, the node has 49 GB",
        ),
        (
            machine(101, memory_mb=4096),
            Capacity(memory_mb=4000),
            "the VMs want 4096 MB of memory, the node has 4000 MB",
        ),
    ],
)
async def test_more_than_the_node_has(
    node: Node, guest: Guest, capacity: Capacity, told: str
) -> None:
    desired = wanted(guest, capacity=capacity)
    observed = await node.driver.observe(desired)
    assert [told in problem for problem in node.driver.problems(desired, observed)] == [True]
    with pytest.raises(Unsupported, match=told):
        await node.create(guest, capacity)
    assert not node.store.read().guests


async def test_others_guests_take_their_part(node: Node) -> None:
    with node.store.change() as world:
        world.guests["lxc/500"] = KeptGuest(fields={"disk_gb": 40})
    with pytest.raises(Unsupported, match="want 44 GB, the node has 43 GB"):
        await node.create(container(101), Capacity(storage_gb=43))
    await node.create(container(101), Capacity(storage_gb=44))


async def test_containers_may_share_memory(node: Node) -> None:
    small = Capacity(memory_mb=600)
    await node.create(container(101), small)
    await node.create(container(102), small)


async def test_an_id_is_one_for_both_kinds(node: Node) -> None:
    await node.create(container(101))
    desired = wanted(machine(101))
    [problem] = node.driver.problems(desired, await node.driver.observe(desired))
    assert problem == "vm/101: the id is taken by lxc/101"
    with pytest.raises(Conflict, match="vm/101 is taken by lxc/101"):
        await node.create(machine(101))


async def test_machines_work_too(node: Node) -> None:
    guest = machine(200, nics=(Nic("net0", "vmbr0", "10.0.0.5/29"),))
    await node.create(guest)
    await node.driver.start(guest, quiet)
    assert await node.driver.addresses(guest.address) == ["10.0.0.5"]


async def test_dhcp_gives_free_addresses(node: Node) -> None:
    fixed = container(101, nics=(Nic("eth0", "vmbr0", "10.0.0.2/29"),))
    leased = [container(n, nics=(Nic("eth0", "vmbr0", "dhcp"),)) for n in (102, 103)]
    for guest in (fixed, *leased):
        await node.create(guest)
        await node.driver.start(guest, quiet)
    given = [await node.driver.addresses(guest.address) for guest in (fixed, *leased)]
    assert given == [["10.0.0.2"], ["10.0.0.3"], ["10.0.0.4"]]
    await node.driver.stop(lxc(102), quiet)
    assert await node.driver.addresses(lxc(102)) == []


async def test_what_needs_rest_is_refused_while_it_runs(node: Node) -> None:
    await node.create(container(101))
    await node.driver.start(container(101), quiet)
    seen = (await node.driver.observe(wanted())).guests[lxc(101)]
    change = FieldChange("nesting", False, True)
    nested = container(101, nesting=True)
    with pytest.raises(Conflict, match="nesting can only change at rest"):
        await node.driver.update(nested, seen, [change], quiet)


async def test_what_can_not_change_in_place(node: Node) -> None:
    await node.create(container(101))
    seen = (await node.driver.observe(wanted())).guests[lxc(101)]
    smaller = container(101, disk_gb=2)
    with pytest.raises(Unsupported, match="disk_gb can't be changed in place"):
        await node.driver.update(smaller, seen, [FieldChange("disk_gb", 4, 2)], quiet)


async def test_only_what_concerns_the_stack_is_shown(node: Node) -> None:
    theirs = Bridge(bridge("vmbr9"), "vmbr9")
    other = SimDriver("other", node.store, Faults(), Timing())
    await other.ensure(theirs, "other", quiet)
    assert set((await node.driver.observe(wanted())).resources) == {POOL.address, BRIDGE.address}
    asked = replace(wanted(), bridges={theirs.address: theirs})
    assert theirs.address in (await node.driver.observe(asked)).resources


async def test_no_console(node: Node) -> None:
    await node.create(container(101))
    with pytest.raises(Unsupported, match="nothing real was made"):
        await node.driver.console(lxc(101), 10)
    with pytest.raises(NotFound):
        await node.driver.console(lxc(102), 10)


def test_an_empty_fingerprint_is_none() -> None:
    snapshot = {"fields": {}, "fingerprint": ""}
    kept = KeptGuest.model_validate({"fingerprint": "", "snapshots": {"one": snapshot}})
    assert (kept.fingerprint, kept.snapshots["one"].fingerprint) == (None, None)


def test_a_file_is_read_again_for_each_use(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "node.json"
    one, two = FileStore(path, {}), FileStore(path, {})
    with one.change() as world:
        world.guests["lxc/101"] = KeptGuest(fields={"cores": 1})
    assert two.read().guests["lxc/101"].fields == {"cores": 1}
    assert json.loads(path.read_text())["format"] == 1


def clear_and_fail(store: Store) -> None:
    with store.change() as world:
        world.guests.clear()
        raise RuntimeError


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    for store in (FileStore(tmp_path / "node.json", {}), MemoryStore()):
        with store.change() as world:
            world.guests["lxc/101"] = KeptGuest()
        with pytest.raises(RuntimeError):
            clear_and_fail(store)
        assert set(store.read().guests) == {"lxc/101"}
    assert {path.name for path in tmp_path.iterdir()} == {"node.json", "node.json.lock"}


def test_a_file_that_holds_something_else(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    path.write_text('{"guests": []}')
    with pytest.raises(DriverError) as caught:
        FileStore(path, {}).read()
    assert caught.value.message == f"{path} does not hold a simulated node"
    assert path.read_text() == '{"guests": []}'


def test_a_file_that_can_not_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileStore(tmp_path / "file" / "node.json", {})
    with pytest.raises(DriverError, match="can't be read"):
        store.read()
    with pytest.raises(DriverError, match="can't be written"), store.change():
        pass


async def test_many_changes_at_once_in_one_file(tmp_path: Path) -> None:
    """Two stores stand for two processes: each change reads, changes and writes alone."""
    stores = [FileStore(tmp_path / "node.json", {}) for _ in range(2)]

    def add(number: int) -> None:
        with stores[number % 2].change() as world:
            world.guests[f"lxc/{number}"] = KeptGuest()

    await asyncio.gather(*(asyncio.to_thread(add, number) for number in range(40)))
    assert len(stores[0].read().guests) == 40


async def test_a_file_that_somebody_keeps_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_store, "_TURN_S", 0.1)
    first, second = (FileStore(tmp_path / "node.json", {}) for _ in range(2))
    told = pytest.raises(Locked, match="has kept the simulated node's file")
    with first.change(), told, second.change():
        pytest.fail("two change it at once")


def test_what_a_killed_process_left_is_used_up(tmp_path: Path) -> None:
    (tmp_path / "node.json.new").write_text("half a node")
    with FileStore(tmp_path / "node.json", {}).change() as world:
        world.guests["lxc/1"] = KeptGuest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node.json", "node.json.lock"]


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ("", {"create": 0, "start": 0}),
        ("0.2", {"create": 0.2, "start": 0.2}),
        ("0.1, create=2,start = 0.5", {"create": 2, "start": 0.5, "stop": 0.1}),
        ("clone=1,", {"clone": 1, "create": 0}),
    ],
)
def test_the_times_that_a_user_gives_it(words: str, times: dict[str, float]) -> None:
    assert {step: Timing.read(words).of(step) for step in times} == times


@pytest.mark.parametrize("words", ["fast", "create=", "-1", "start=nan", "inf", "1e999", "create"])
def test_times_that_are_none(words: str) -> None:
    with pytest.raises(UsageError, match="PHOENIX_SIM_SECONDS"):
        Timing.read(words)
