"""What holds for every plan, whatever the files ask for and whatever is there."""

import asyncio
import json
from graphlib import TopologicalSorter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plan.random_worlds import Situation, situations
from tests.unit.plan.worlds import FOLDER, INCUS, STACK

from phoenix_hypervisor.drivers.sim import MemoryStore, connect
from phoenix_hypervisor.model.address import Address, is_guest
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import CloneOf, Target
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.as_json import dump, load, refuse_if_moved
from phoenix_hypervisor.plan.make import destroy, make
from phoenix_hypervisor.plan.options import Options

FAST = settings(max_examples=60, deadline=None)


def look(situation: Situation) -> Observed:
    """The node as the simulation's own driver sees it."""
    store = MemoryStore(situation.world.model_copy(deep=True))
    driver = connect(Target(), STACK, environ={}, folder=FOLDER, store=store)
    return asyncio.run(driver.observe(situation.folder))


def plans(situation: Situation, *, prune: bool, targets: frozenset[Address]) -> Plan:
    options = Options(fingerprints=situation.prints, prune=prune, targets=targets)
    return make(situation.folder, look(situation), INCUS, options)


@FAST
@given(situations(), st.booleans(), st.data())
def test_every_plan_can_be_walked(situation: Situation, prune: bool, data: st.DataObject) -> None:
    addresses = sorted(map(Address, {*situation.folder.guests, *situation.world.guests}))
    targets = (
        frozenset(data.draw(st.sets(st.sampled_from(addresses)))) if addresses else frozenset()
    )
    plan = plans(situation, prune=prune, targets=targets)
    steps = {step.id: step for change in plan.changes for step in change.steps}
    assert len(steps) == sum(len(change.steps) for change in plan.changes)
    assert {before for step in steps.values() for before in step.after} <= set(steps)
    TopologicalSorter({i: step.after for i, step in steps.items()}).prepare()  # raises on a circle
    assert len({change.address for change in plan.changes}) == len(plan.changes)
    assert plan.estimate_s <= sum(step.estimate_s for step in steps.values()) + 1e-6
    for change in plan.changes:
        assert change.steps
        assert change.reason
        assert {step.address for step in change.steps} == {change.address}
        assert all(first.id in second.after for first, second in pairwise(change.steps))
        assert change.address not in change.after


@FAST
@given(situations(), st.booleans())
def test_only_what_is_marked_is_ever_touched(situation: Situation, prune: bool) -> None:
    plan = plans(situation, prune=prune, targets=frozenset())
    owner = {a: guest.stack for a, guest in situation.world.guests.items()}
    owner |= {a: resource.stack for a, resource in situation.world.resources.items()}
    for change in plan.changes:
        assert owner.get(change.address, STACK) == STACK
        deletes = "delete" in {step.name for step in change.steps}
        assert deletes is (change.action in (Action.DELETE, Action.REPLACE))
        if deletes:
            assert change.impact is Impact.DESTRUCTIVE
        if change.action is Action.DELETE:
            assert prune
            assert change.address not in situation.folder.guests
        guest = situation.world.guests.get(change.address)
        if guest is not None and guest.complete and guest.fields.get("protected"):
            assert change.impact is not Impact.DESTRUCTIVE
    foreign = {a for a in situation.world.guests if owner[a] != STACK}
    assert set(plan.unmanaged) == foreign
    assert plan.refusals or not foreign & set(situation.folder.guests)


@FAST
@given(situations())
def test_clones_follow_their_sources_and_dependents_their_dependencies(
    situation: Situation,
) -> None:
    plan = plans(situation, prune=False, targets=frozenset())
    changes = {change.address: change for change in plan.changes}
    before = _closure({s.id: s.after for c in plan.changes for s in c.steps})
    for address, change in changes.items():
        guest = situation.folder.guests.get(address)
        if guest is None or not is_guest(address):
            continue
        for step in change.steps:
            source = guest.source.address if isinstance(guest.source, CloneOf) else None
            if step.name == "create" and source in changes:
                names = [s.name for s in changes[source].steps]
                needed = names.index("snapshot") if "snapshot" in names else -1
                assert changes[source].steps[needed].id in before[step.id]
            if step.name in ("start", "configure", "check"):
                for dependency in set(guest.dependencies) & set(changes):
                    assert changes[dependency].steps[-1].id in before[step.id]


@FAST
@given(situations(), st.booleans())
def test_planning_is_deterministic_and_survives_being_saved(
    situation: Situation, prune: bool
) -> None:
    first = plans(situation, prune=prune, targets=frozenset())
    assert plans(situation, prune=prune, targets=frozenset()) == first
    loaded = load(json.loads(json.dumps(dump(first))))
    assert dump(loaded) == dump(first)
    refuse_if_moved(loaded, first)


@FAST
@given(situations())
def test_destroying_everything_leaves_only_others_and_protected(situation: Situation) -> None:
    plan = destroy(situation.folder, look(situation), INCUS, None)
    deleted = {change.address for change in plan.changes}
    for address, guest in situation.world.guests.items():
        wanted = situation.folder.guests.get(Address(address))
        kept = guest.fields.get("protected") or (wanted is not None and wanted.protected)
        assert (address in deleted) is (guest.stack == STACK and not kept)


def _closure(after: dict[str, tuple[str, ...]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for ident in TopologicalSorter(after).static_order():
        found[ident] = {*after[ident]}.union(*(found[one] for one in after[ident]))
    return found
