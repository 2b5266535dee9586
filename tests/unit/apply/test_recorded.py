"""An apply does what its plan said, all of it and nothing else; and nothing that destroys data is
ever unmarked. Neither asks the planner's own code what that is.
"""

import asyncio
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.apply.nodes import Node
from tests.unit.apply.recorder import Log, compare, lost, recording
from tests.unit.apply.test_convergence import METHODS, node, others, protects
from tests.unit.plan.random_worlds import Situation, situations
from tests.unit.plan.worlds import STACK

from phoenix_hypervisor.drivers.sim.faults import When
from phoenix_hypervisor.drivers.sim.store import World
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    Denied,
    Locked,
    PhoenixError,
    Retryable,
    UnknownOutcome,
    Unreachable,
)
from phoenix_hypervisor.model.plan import Plan

SLOW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ERRORS: Sequence[PhoenixError] = (
    Retryable("busy", after_s=0.001),
    UnknownOutcome("no answer"),
    Locked("somebody works on it", after_s=0.001),
    Denied("not allowed", missing="VM.Allocate"),
    Unreachable("gone"),
)


def record(one: Node) -> Log:
    """From now on all that is done to the node is written down."""
    log = Log()

    async def configure(guest: Guest, tell: Tell) -> None:
        async with log.note(guest.address, "configure"):
            await asyncio.sleep(0)

    async def check(guest: Guest, tell: Tell) -> None:
        async with log.note(guest.address, "check"):
            await asyncio.sleep(0)

    one.driver_type = recording(log)
    one.configure, one.check = configure, check
    return log


def destructive(plan: Plan) -> set[str]:
    """The addresses whose data the plan says it destroys."""
    return {
        change.address
        for change in plan.changes
        if change.impact is Impact.DESTRUCTIVE or change.action is Action.DELETE
    }


def only_said(plan: Plan, before: World, after: World) -> None:
    """Only what the plan names has changed, and only what it marks has lost data."""
    named = {change.address for change in plan.changes}
    for kind in ("guests", "resources"):
        old, new = getattr(before, kind), getattr(after, kind)
        assert {a: o for a, o in old.items() if a not in named} == {
            a: o for a, o in new.items() if a not in named
        }
    for address, kept in before.guests.items():
        if kept.complete and lost(kept, after.guests.get(address)):
            assert address in destructive(plan), address


@SLOW
@given(situations(), st.booleans(), st.integers(1, 8), st.data())
def test_an_apply_is_exactly_its_plan(
    situation: Situation, prune: bool, parallel: int, data: st.DataObject
) -> None:
    known = sorted({*situation.folder.guests, *situation.world.guests, *situation.folder.pools})
    chosen = data.draw(st.sets(st.sampled_from(known))) if known else set()
    targets = frozenset(map(Address, chosen))
    asyncio.run(_exactly(node(situation), prune=prune, parallel=parallel, targets=targets))


async def _exactly(one: Node, *, prune: bool, parallel: int, targets: frozenset[Address]) -> None:
    plan = await one.plan(prune=prune, targets=targets)
    if protects(plan):
        return
    before = one.store.read()
    log = record(one)
    report = await one.walk(plan, parallel=parallel)
    assert report.ok, report.failed
    compare(plan, log, one.folder)
    only_said(plan, before, one.store.read())
    for change in plan.changes:
        kept = before.guests.get(change.address)
        for call in log.of(change.address):
            assert call.words[0] != "delete" or change.address in destructive(plan)
            anew = call.words[0] == "create" and kept is not None and kept.complete
            assert not anew or change.impact is Impact.DESTRUCTIVE
    again = await one.plan(prune=prune, targets=targets)
    assert again.changes == ()


@SLOW
@given(situations(), st.data())
def test_whatever_fails_nothing_unsaid_is_destroyed(
    situation: Situation, data: st.DataObject
) -> None:
    asyncio.run(_under_faults(node(situation), data))


async def _under_faults(one: Node, data: st.DataObject) -> None:
    if protects(await one.plan(prune=True)):
        return
    foreign = others(one)
    for _ in range(data.draw(st.integers(1, 6))):
        error = data.draw(st.sampled_from(ERRORS))
        when: When = data.draw(st.sampled_from(("before", "halfway", "after")))
        method = data.draw(st.sampled_from(METHODS))
        one.faults.fail(method, None, error, when=when, times=data.draw(st.integers(1, 3)))
    for _ in range(20):
        plan = await one.plan(prune=True)
        assert not plan.refusals
        if not plan.changes:
            break
        before = one.store.read()
        log = record(one)
        await one.walk(plan)
        only_said(plan, before, one.store.read())
        assert others(one) == foreign
        deleted = {call.address for call in log.calls if call.words[0] in ("delete", "remove")}
        assert deleted <= destructive(plan)
        said = {(step.address, step.name) for change in plan.changes for step in change.steps}
        for call in log.calls:
            name = {"mark": "configure", "remove": "delete"}.get(str(call.words[0]), call.words[0])
            assert (call.address, name) in said
    assert (await one.plan(prune=True)).changes == ()
    wanted = {a for a, g in one.store.read().guests.items() if g.stack == STACK}
    assert {*one.folder.guests} <= wanted
