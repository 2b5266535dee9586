"""One step: tried again, looked at, given up, as its error's type says."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from tests.unit.apply.nodes import Node, takes
from tests.unit.plan.worlds import OLD, desired, guest, plain, template

from phoenix_hypervisor.apply.steps import HANDLERS, LIMITS_S
from phoenix_hypervisor.drivers.sim.faults import When
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.change import Action, Change, Step
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    NotFound,
    PhoenixError,
    Retryable,
    UnknownOutcome,
    Unreachable,
    Unsupported,
)
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import undo

WEB = guest(101)
FOLDER = desired(WEB)


def test_each_step_has_a_handler_and_a_time_limit() -> None:
    assert HANDLERS.keys() == LIMITS_S.keys()


@pytest.mark.parametrize("error", [Retryable("busy", after_s=0.001), Locked("held", after_s=0.001)])
async def test_what_may_work_later_is_tried_again(error: PhoenixError) -> None:
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", error, times=3)
    assert (await node.apply()).ok
    told = [e.message for e in node.events if e.event == "retry"]
    counts = [""] * 3 if isinstance(error, Locked) else [f" (try {n} of 8)" for n in (2, 3, 4)]
    assert told == [f"{error.message}; again in 0 s{count}" for count in counts]
    assert node.faults.left == 0


async def test_it_is_given_up_after_eight_tries() -> None:
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", Retryable("busy", after_s=0.001, hint="wait"), times=99)
    (failure,) = (await node.apply()).failed
    assert (failure.step, failure.message, failure.hint) == ("start", "busy", "wait")
    assert node.faults.left == 99 - 8


async def test_a_lock_is_waited_for_as_long_as_the_step_may_last() -> None:
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", Locked("locked (backup)", after_s=0.001), times=30)
    assert (await node.apply()).ok
    told = {e.message for e in node.events if e.event == "retry"}
    assert told == {"locked (backup); again in 0 s"}


async def test_a_lock_that_stays_is_what_the_failure_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS_S, "start", 0.1)
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", Locked("locked (backup)", after_s=0.001), times=9999)
    (failure,) = (await node.apply()).failed
    assert (failure.step, failure.message) == ("start", "locked (backup)")


@pytest.mark.parametrize(
    "kind", [Conflict, Denied, DriverError, NotFound, Unreachable, Unsupported]
)
async def test_other_errors_are_not_tried_again(kind: type[PhoenixError]) -> None:
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", kind("no", hint="so"), times=2)
    (failure,) = (await node.apply()).failed
    assert (failure.message, failure.hint, node.faults.left) == ("no", "so", 1)
    assert node.told("retry") == []


async def test_pauses_grow_up_to_the_longest() -> None:
    node = Node(FOLDER)  # whose longest pause is 0.01 s
    node.faults.fail("start", "lxc/101", Retryable("busy", after_s=0.001), times=99)
    await node.apply()
    told = [e for e in node.events if e.step == "start"]
    pauses = [after.elapsed_s - e.elapsed_s for e, after in pairwise(told) if e.event == "retry"]
    least = [0.001, 0.002, 0.004, 0.008, 0.01, 0.01, 0.01]
    assert all(pause >= shortest for pause, shortest in zip(pauses, least, strict=True))
    assert sum(pauses) < 1


# The answer was lost: done, or not?

BASE = template(900)


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("ensure", "storage/tank"),
        ("create", "lxc/101"),
        ("start", "lxc/101"),
        ("stop", "lxc/900"),
        ("snapshot", "lxc/900"),
        ("mark", "lxc/101"),
    ],
)
@pytest.mark.parametrize("when", ["before", "halfway", "after"])
async def test_a_lost_answer_while_making(method: str, address: str, when: When) -> None:
    node = Node(desired(WEB, BASE))
    node.faults.fail(method, address, UnknownOutcome("no answer"), when=when)
    report = await node.apply()
    assert (report.ok, report.failed, node.faults.left) == (True, (), 0)
    # Done after all: nothing is done twice. (A fingerprint is only known by marking it again.)
    assert bool(node.told("retry")) is (when != "after" or method == "mark")
    assert (await node.plan()).changes == ()


@pytest.mark.parametrize(
    ("method", "address"),
    [("update", "lxc/101"), ("delete", "lxc/102"), ("remove", "storage/old")],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_while_changing(method: str, address: str, when: When) -> None:
    before = Node(desired(replace(WEB, memory_mb=64), plain(102, pool="old")))
    await before.complete()
    node = replace(before, folder=FOLDER, events=[])
    node.faults.fail(method, address, UnknownOutcome("no answer"), when=when)
    report = await node.apply(prune=True)
    assert (report.ok, report.failed, node.faults.left) == (True, (), 0)
    assert bool(node.told("retry")) is (when != "after")
    assert (await node.plan(prune=True)).changes == ()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["snapshot", "delete_snapshot"])
async def test_a_lost_answer_about_a_snapshot_by_hand(method: str, when: When) -> None:
    node = Node(FOLDER)
    await node.complete()
    if method == "delete_snapshot":
        await node.driver().snapshot(WEB.address, "mine", lambda _: None, stand_in=False)
    observed = await node.driver().observe(FOLDER)
    there = {WEB.address: await node.driver().snapshots(WEB.address)}
    if method == "snapshot":
        plan = undo.take(FOLDER, observed, node.driver(), there, "mine")
    else:
        now = datetime.now(UTC)
        plan = undo.delete(FOLDER, observed, node.driver(), there, name="mine", now=now)
    node.faults.fail(method, "lxc/101", UnknownOutcome("no answer"), when=when)
    report = await node.walk(plan)
    assert (report.ok, node.faults.left) == (True, 0)
    assert bool(node.told("retry")) is (when == "before")
    left = [one.name for one in await node.driver().snapshots(WEB.address)]
    assert left == ["mine"] * (method == "snapshot")


async def test_an_old_snapshot_is_not_taken_for_the_new_one() -> None:
    node = Node(desired(BASE))
    await node.complete()
    with node.store.change() as world:
        world.guests["lxc/900"].snapshots["base"].fingerprint = OLD
    node.faults.fail("snapshot", "lxc/900", UnknownOutcome("no answer"))
    assert (await node.apply()).ok
    assert node.told("retry") == ["lxc/900:snapshot retry"]
    assert (await node.plan()).changes == ()


async def test_an_update_that_is_half_there_is_left_to_the_next_plan() -> None:
    before = Node(desired(replace(WEB, memory_mb=64, cores=4)))
    await before.complete()
    node = replace(before, folder=FOLDER, events=[])
    node.faults.fail("update", "lxc/101", UnknownOutcome("no answer"), when="halfway")
    report = await node.apply()
    (failure,) = report.failed
    assert "was changed since the plan was made" in failure.message
    assert (await node.apply()).ok
    assert (await node.plan()).changes == ()


async def test_answers_that_are_always_lost_are_looked_at_each_time() -> None:
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", UnknownOutcome("no answer", hint="look"), times=99)
    (failure,) = (await node.apply()).failed
    assert (failure.message, failure.hint) == ("no answer", "look")
    looks = [e for e in node.events if e.message == "the answer was lost: looking what is true"]
    assert len(looks) == 8


async def test_a_look_that_fails_is_tried_again_too() -> None:
    node = Node(FOLDER)
    plan = await node.plan()
    node.faults.fail("start", "lxc/101", UnknownOutcome("no answer"), when="after")
    walk = asyncio.create_task(node.walk(plan))
    await node.until("lxc/101:start started")
    node.faults.fail("observe", None, Retryable("busy", after_s=0.001))
    report = await walk
    assert report.ok
    (told,) = (e.message for e in node.events if e.event == "retry")
    assert told.startswith("busy; again")


# Time limits, bugs, and cancellation from within


async def test_a_step_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS_S, "configure", 0.02)
    node = Node(desired(WEB, guest(102)), configure=takes(30))
    report = await node.apply()
    assert [f.message for f in report.failed] == [
        "configure took longer than 0 s and was given up"
    ] * 2
    assert sorted(node.told("skipped")) == ["lxc/101:check skipped", "lxc/102:check skipped"]
    assert (await node.guest("lxc/101")).fingerprint is None
    node.configure = takes(0)
    assert (await node.apply()).ok


async def test_the_limit_holds_for_all_tries_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS_S, "start", 0.02)
    node = Node(FOLDER)
    node.faults.fail("start", "lxc/101", Retryable("busy", after_s=10), times=99)
    (failure,) = (await node.apply()).failed
    assert "took longer" in failure.message


async def test_another_timeout_is_not_taken_for_the_steps_own() -> None:
    async def slow_network(wanted: Guest, tell: Tell) -> None:
        raise TimeoutError(110, "Connection timed out")

    (failure,) = (await Node(FOLDER, configure=slow_network).apply()).failed
    assert failure.message.startswith("an unexpected TimeoutError")
    assert "Connection timed out" in failure.message


async def test_a_cancellation_from_within_is_a_bug_not_an_interruption() -> None:
    shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    shared.cancel()

    async def waits(wanted: Guest, tell: Tell) -> None:
        if wanted.address == "lxc/101":
            await shared

    node = Node(desired(WEB, guest(102)), configure=waits)
    report = await node.apply()
    assert not report.interrupted
    (failure,) = report.failed
    assert failure.message.startswith("an unexpected CancelledError")
    assert "lxc/102:check finished" in node.told()


async def test_a_step_that_nobody_knows_is_a_failure_of_its_own() -> None:
    step = Step("lxc/101:juggle", lxc(101), "juggle")
    strange = Change(lxc(101), Action.UPDATE, steps=(step,))
    plan = await Node(desired(guest(102))).plan()
    node = Node(desired(WEB, guest(102)))
    report = await node.walk(Plan("lab", "sim", (*plan.changes, strange)))
    (failure,) = report.failed
    assert (failure.step, failure.message) == ("juggle", "an unexpected KeyError: 'juggle'")
    assert "lxc/102:check finished" in node.told()
