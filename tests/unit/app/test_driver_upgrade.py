"""An exchange of the host's driver with its guests, on simulated guests and a node of doubles."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.host.rooted_node import RootedNode
from tests.unit.plan.worlds import desired, plain

from phoenix_hypervisor.app.host import Choice, HostWork, driver_upgrade, outstanding
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.features.nvidia import NvidiaOptions
from phoenix_hypervisor.host import nvidia_driver, vfio
from phoenix_hypervisor.model.address import Address, lxc, vm
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Host, NvidiaDriver
from phoenix_hypervisor.model.event import Event, Report
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.cards import Cards, HostDriver, KeptCard, PassedCard
from phoenix_hypervisor.model.node import Node as HostNode
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.options import Options

OLD, NEW = "570.86.15", "580.76.05"
DRIVER, RESTART = Address("host/nvidia-driver"), Address("host/restart")
NVIDIA = (FeatureUse("nvidia", NvidiaOptions()),)
GUESTS = (
    plain(101, gpus=(0,), features=NVIDIA),
    plain(102, gpus=(0,)),
    plain(103),
    plain(104, gpus=(0,), features=NVIDIA, snapshot_name="base"),
)


class World:
    """The guests' target, and the node below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = RootedNode(folder / "node")
        self.node.card("0000:01:00.0", "10de:2d04", "030000")
        self.node.put("state/cards", "NVIDIA GeForce RTX 5060 Ti\n")
        for version in (OLD, NEW):
            self.node.offer(version)
        self.events: list[str] = []
        self.guests = Node(self.desired(OLD), driver_type=self.driver_type(SimDriver))

    def driver_type(self, base: type[SimDriver]) -> type[SimDriver]:
        node = self.node

        class WithNode(base):  # type: ignore[misc, valid-type] # the test's own choice
            async def node(self) -> HostNode:
                return node

        return WithNode

    def desired(self, version: str, *passed: PassedCard) -> Desired:
        cards = Cards(HostDriver(version), passed, (KeptCard(0, "RTX 5060 Ti"),))
        host = Host(nvidia=NvidiaDriver(version), setup=HostSetup(cards=cards))
        return replace(desired(*GUESTS, folder=self.folder), host=host)

    def session(self, version: str, *passed: PassedCard) -> Session:
        wanted = self.desired(version, *passed)
        return Session(wanted, self.guests.driver(), Secrets(self.folder, {}), ())

    async def plan(self, session: Session, *, reboot: bool = False) -> Plan:
        return await HostWork(session, Choice(reboot=reboot)).plan(lambda _: None)

    async def apply(self, session: Session, *, reboot: bool = False) -> tuple[Plan, Report]:
        work = HostWork(session, Choice(reboot=reboot))
        plan = await work.plan(lambda _: None)
        looked = await session.driver.observe(session.desired)
        return plan, await session.apply(plan, looked, self.take, then_verify=frozenset())

    def take(self, event: Event) -> None:
        if event.event in ("finished", "failed"):
            self.events.append(f"{event.address}:{event.step} {event.event}")

    async def states(self) -> dict[int, str]:
        session = self.session(OLD)
        seen = (await session.driver.observe(session.desired)).guests
        return {number: seen[lxc(number)].state for number in (101, 102, 103, 104)}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Everything as the files say, with the old driver."""
    mine = [vfio.PART, nvidia_driver.PART]
    monkeypatch.setattr("phoenix_hypervisor.app.host.parts", lambda: mine)
    made = World(tmp_path)
    _, report = await made.apply(made.session(OLD))
    assert report.ok, report
    session = made.session(OLD)
    plan, observed = await session.plan(Options())
    assert (await session.apply(plan, observed, lambda _: None)).ok
    assert (await made.plan(made.session(OLD))).changes == ()
    made.events.clear()
    return made


def _steps(plan: Plan, address: Address) -> list[tuple[str, Sequence[str]]]:
    (change,) = (one for one in plan.changes if one.address == address)
    return [(step.name, step.after) for step in change.steps]


async def test_it_is_one_plan_in_order(world: World) -> None:
    plan = await world.plan(world.session(NEW))
    assert [one.address for one in plan.changes] == [DRIVER, lxc(101), lxc(102)]
    assert {one.impact for one in plan.changes} == {Impact.RESTART}
    ((_, after),) = _steps(plan, DRIVER)
    assert set(after) == {"lxc/101:stop", "lxc/102:stop"}
    assert [name for name, _ in _steps(plan, lxc(101))] == ["stop", "start", "configure"]
    assert [name for name, _ in _steps(plan, lxc(102))] == ["stop", "start"]
    for address in (lxc(101), lxc(102)):
        (_, before), *rest = _steps(plan, address)
        assert before == ()
        assert all("host/nvidia-driver:make" in after for _, after in rest)


async def test_it_is_carried_out_and_then_there_is_nothing(world: World) -> None:
    _, report = await world.apply(world.session(NEW))
    assert report.ok, report
    order = world.events
    middle = order.index("host/nvidia-driver:make finished")
    assert {*order[:middle]} == {"lxc/101:stop finished", "lxc/102:stop finished"}
    assert "lxc/101:configure finished" in order[middle:]
    assert NEW in world.node.get_text("proc/driver/nvidia/version")
    assert await world.states() == {101: "running", 102: "running", 103: "running", 104: "stopped"}
    assert (await world.plan(world.session(NEW))).changes == ()


async def test_where_it_does_not_serve_the_guests_run_on_with_the_old_one(world: World) -> None:
    world.node.put("state/blind", f"{NEW}\n")
    _, report = await world.apply(world.session(NEW))
    (failure,) = report.failed
    assert f"{OLD} is back and serves" in failure.message
    assert "lxc/101, lxc/102 run again" in failure.detail
    assert OLD in world.node.get_text("proc/driver/nvidia/version")
    assert await world.states() == {101: "running", 102: "running", 103: "running", 104: "stopped"}
    assert (await world.plan(world.session(OLD))).changes == ()


async def test_a_restart_is_shown_and_never_done_unasked(world: World) -> None:
    passed = PassedCard(vm(201), address="0000:05:00")
    world.node.card("0000:05:00.0", "1002:744c", "030000", "amdgpu", 3)
    plan, report = await world.apply(world.session(OLD, passed))
    assert report.ok
    assert [one.address for one in plan.changes] == [Address("host/vfio"), RESTART]
    assert plan.changes[1].steps == ()
    assert plan.changes[1].reason.startswith("only with --allow-reboot")
    assert report.summary == {"create": 1}
    for _ in range(2):
        again = await world.plan(world.session(OLD, passed))
        assert "still held by amdgpu" in outstanding(again)[RESTART]
        assert [one.action for one in again.changes] == [Action.UPDATE]


async def test_with_leave_the_node_restarts_and_the_run_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phoenix_hypervisor.app.host.restart._PAUSE_S", 0.01)
    world.node.card("0000:05:00.0", "1002:744c", "030000", "amdgpu", 3)
    link = f"{world.node.root}/sys/bus/pci/devices/0000:05:00.0/driver"
    world.node.program(
        "setsid",
        'echo second > "$R/proc/sys/kernel/random/boot_id"\n'
        f'ln -sfn ../../../bus/pci/drivers/vfio-pci "{link}"',
    )
    session = world.session(OLD, PassedCard(vm(201), address="0000:05:00"))
    plan, report = await world.apply(session, reboot=True)
    assert report.ok, report
    assert plan.changes[1].after == (Address("host/vfio"),)
    assert world.events == ["host/vfio:make finished", "host/restart:make finished"]
    assert (await world.plan(session)).changes == ()


async def test_after_a_restart_that_is_not_allowed_guests_are_left_alone(world: World) -> None:
    world.node.put("proc/modules", "nouveau 1 0 - Live\n")
    (world.node.root / "proc/driver/nvidia/version").unlink()
    plan = await world.plan(world.session(NEW))
    assert [one.address for one in plan.changes] == [DRIVER, RESTART]
    assert "their user space follows after the restart" in plan.notes[-1]
    allowed = await world.plan(world.session(NEW), reboot=True)
    assert [one.address for one in allowed.changes] == [DRIVER, RESTART, lxc(101), lxc(102)]
    assert "host/restart:make" in _steps(allowed, lxc(102))[1][1]


async def test_an_ordinary_plan_tells_another_live_version(world: World) -> None:
    world.guests.driver_type = world.driver_type(WithInside)
    world.node.asked.clear()
    plan, _ = await world.session(NEW).plan(Options())
    assert any(
        f"the host runs NVIDIA's driver {OLD}, and the files say {NEW}: lxc/101" in note
        for note in plan.notes
    )
    plan, _ = await world.session(OLD).plan(Options())
    assert (plan.changes, plan.notes) == ((), ())
    assert world.node.asked == ["which version of NVIDIA's driver runs"]


async def test_guests_stop_when_all_else_that_the_driver_waits_for_is_done(world: World) -> None:
    plan = await world.plan(world.session(NEW))
    exchange, *guests = plan.changes
    first = replace(exchange.steps[0], after=("host/samba:make",))
    alone = replace(plan, changes=(replace(exchange, steps=(first,)),))
    bare = [
        replace(one, steps=tuple(replace(step, after=()) for step in one.steps)) for one in guests
    ]
    woven = driver_upgrade.weave(alone, bare, RESTART)
    for address in (lxc(101), lxc(102)):
        assert _steps(woven, address)[0] == ("stop", ("host/samba:make",))
    ((_, after),) = _steps(woven, DRIVER)
    assert set(after) == {"host/samba:make", "lxc/101:stop", "lxc/102:stop"}


async def test_guests_that_an_interruption_left_stopped_start_again(world: World) -> None:
    session = world.session(NEW)
    work = HostWork(session, Choice())
    await work.plan(lambda _: None)
    assert await work.start_stopped(lambda _: None) == ""
    await session.driver.stop(lxc(101), lambda _: None)
    assert await work.start_stopped(lambda _: None) == "lxc/101 run again"
    assert (await world.states())[101] == "running"


async def test_guests_wait_for_an_exchange_that_outlived_its_run(world: World) -> None:
    """As after Ctrl-C: they would take the cards that the exchange needs."""
    session = world.session(NEW)
    work = HostWork(session, Choice())
    await work.plan(lambda _: None)
    for number in (101, 102):
        await session.driver.stop(lxc(number), lambda _: None)
    world.node.put("state/exchanging", "")
    world.node.put("var/lib/phoenix/nvidia/exchange/version", f"{NEW}\n")
    waiting = asyncio.create_task(work.start_stopped(lambda _: None))
    await asyncio.sleep(0.5)
    assert (await world.states())[101] == "stopped"
    (world.node.root / "state/exchanging").unlink()
    assert await waiting == "lxc/101, lxc/102 run again"


async def test_guests_stay_stopped_where_the_node_does_not_tell(world: World) -> None:
    session = world.session(NEW)
    work = HostWork(session, Choice())
    await work.plan(lambda _: None)
    await session.driver.stop(lxc(101), lambda _: None)
    world.node.program("systemctl", "kill -9 $PPID")
    told = await work.start_stopped(lambda _: None)
    assert told.startswith("lxc/101: stopped, until it can be seen that the driver is at rest")
    assert (await world.states())[101] == "stopped"


async def test_an_exchange_at_work_is_one_plan_with_its_guests(world: World) -> None:
    world.node.put("state/exchanging", "")
    world.node.put("var/lib/phoenix/nvidia/exchange/version", f"{NEW}\n")
    plan = await world.plan(world.session(NEW))
    assert [one.address for one in plan.changes] == [DRIVER, lxc(101), lxc(102)]
    assert "it is waited for" in plan.changes[0].reason
