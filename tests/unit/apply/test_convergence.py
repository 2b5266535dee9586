"""Applying a plan leaves nothing to plan, from whatever state it starts."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from tests.unit.apply.nodes import Node, takes
from tests.unit.plan.random_worlds import Situation, situations

from phoenix_hypervisor.drivers.sim import MemoryStore, Timing
from phoenix_hypervisor.drivers.sim.faults import When
from phoenix_hypervisor.drivers.sim.rules import users
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.errors import Retryable, UnknownOutcome
from phoenix_hypervisor.model.plan import Plan

SLOW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
METHODS = ("create", "update", "start", "stop", "snapshot", "delete", "mark", "ensure", "remove")


def node(situation: Situation) -> Node:
    """The situation's node; foreign guests with wanted ids make room, so that it can be applied."""
    world = situation.world.model_copy(deep=True)
    for address in situation.folder.guests:
        if address in world.guests and world.guests[address].stack != "lab":
            del world.guests[address]
    return Node(situation.folder, MemoryStore(world))


def others(one: Node) -> dict[str, object]:
    """What belongs to somebody else, wholly."""
    world = one.store.read()
    guests = {a: g.model_dump() for a, g in world.guests.items() if g.stack != "lab"}
    return guests | {a: r.model_dump() for a, r in world.resources.items() if r.stack != "lab"}


def protects(plan: Plan) -> bool:
    """Whether the plan is refused for data of protected guests, the one reason that is left."""
    assert all("is protected" in refusal for refusal in plan.refusals)
    return bool(plan.refusals)


@SLOW
@given(situations(), st.booleans())
def test_an_applied_plan_leaves_nothing_to_do(situation: Situation, prune: bool) -> None:
    asyncio.run(_converges(node(situation), prune=prune))


async def _converges(one: Node, *, prune: bool) -> None:
    before = others(one)
    plan = await one.plan(prune=prune)
    if protects(plan):
        return
    report = await one.walk(plan)
    assert (report.failed, report.ok, report.summary) == ((), True, plan.summary)
    after = await one.plan(prune=prune)
    assert after.changes == ()
    assert after.refusals == ()
    assert others(one) == before
    if prune:
        assert after.kept == ()


@SLOW
@given(situations(), st.data())
def test_failures_and_lost_answers_only_delay_it(situation: Situation, data: st.DataObject) -> None:
    asyncio.run(_converges_after_faults(node(situation), data))


async def _converges_after_faults(one: Node, data: st.DataObject) -> None:
    if protects(await one.plan(prune=True)):
        return
    for _ in range(data.draw(st.integers(1, 6))):
        error = data.draw(st.sampled_from([Retryable("busy"), UnknownOutcome("no answer")]))
        when: When = data.draw(st.sampled_from(("before", "halfway", "after")))
        method = data.draw(st.sampled_from(METHODS))
        one.faults.fail(method, None, error, when=when, times=data.draw(st.integers(1, 9)))
    for _ in range(12):
        plan = await one.plan(prune=True)
        if not plan.changes:
            break
        await one.walk(plan)
    assert (await one.plan(prune=True)).changes == ()


@SLOW
@given(situations(), st.integers(0, 40))
def test_cancelled_anywhere_the_next_one_finishes_it(situation: Situation, ticks: int) -> None:
    asyncio.run(_converges_after_cancel(node(situation), ticks))


async def _converges_after_cancel(one: Node, ticks: int) -> None:
    plan = await one.plan(prune=True)
    if protects(plan) or not plan.changes:
        return
    one.timing = Timing(default_s=0.0005)
    one.configure = one.check = takes(0.0005)
    walk = asyncio.create_task(one.walk(plan, parallel=3))
    await asyncio.sleep(ticks * 0.0005)
    walk.cancel()
    try:
        report = await walk
    except asyncio.CancelledError:  # before the walk itself had begun
        report = None
    if report is not None and not report.interrupted:
        assert report.ok
    one.timing = Timing()
    second = await one.walk(await one.plan(prune=True))
    assert second.failed == ()
    assert (await one.plan(prune=True)).changes == ()


@SLOW
@given(situations())
def test_a_destroyed_stack_leaves_only_what_others_use(situation: Situation) -> None:
    one = node(situation)
    with one.store.change() as world:
        for kept in world.guests.values():
            kept.fields["protected"] = False
    guests = {a: replace(g, protected=False) for a, g in situation.folder.guests.items()}
    one.folder = replace(situation.folder, guests=guests)
    asyncio.run(_leaves_nothing(one))


async def _leaves_nothing(one: Node) -> None:
    before = others(one)
    report = await one.walk(await one.plan_destroy())
    assert (report.failed, report.ok) == ((), True)
    assert others(one) == before
    world = one.store.read()
    assert [a for a, g in world.guests.items() if g.stack == "lab"] == []
    left = [Address(a) for a, r in world.resources.items() if r.stack == "lab"]
    assert all(users(world, resource) for resource in left)


_BY_HAND = (Action.ADOPT, Action.SNAPSHOT, Action.ROLLBACK)


@pytest.mark.parametrize("action", [a for a in Action if a not in _BY_HAND])
def test_the_random_worlds_lead_to_every_action(action: Action) -> None:
    """They are worth something. (Nothing plans an adoption: `phoenix adopt` is asked for.)"""

    def leads_there(situation: Situation) -> bool:
        plan = asyncio.run(node(situation).plan(prune=True))
        return not plan.refusals and action in {change.action for change in plan.changes}

    quickly = settings(max_examples=5000, database=None, phases=[Phase.generate])
    assert find(situations(), leads_there, settings=quickly)
