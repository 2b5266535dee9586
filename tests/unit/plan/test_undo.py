"""Plans of snapshots by hand: what is refused, what is told, what is done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.plan.worlds import INCUS, NEW, OLD, STACK, complete, desired, guest, template

from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.snapshot import Taken, default_name, problem
from phoenix_hypervisor.plan import undo
from phoenix_hypervisor.plan.render import text

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WEB, BASE = lxc(101), lxc(900)
FOLDER = desired(guest(101), template(900))
WORLD = complete(FOLDER)
ONE = Taken("one", NOW - timedelta(hours=3), STACK, NEW)
TWO = Taken("two", NOW - timedelta(minutes=5), STACK, NEW)


def back(
    *found: Taken,
    folder: Desired = FOLDER,
    world: Observed = WORLD,
    address: Address = WEB,
    **more: Any,
) -> Plan:
    return undo.rollback(folder, world, INCUS, address, name="one", found=found, now=NOW, **more)


def seen(world: Observed = WORLD, **words: Any) -> Observed:
    return replace(world, guests=dict(world.guests) | {WEB: replace(world.guests[WEB], **words)})


def test_a_rollback_stops_goes_back_and_starts_again() -> None:
    plan = back(ONE)
    (change,) = plan.changes
    assert (change.action, change.impact) == (Action.ROLLBACK, Impact.DESTRUCTIVE)
    assert [step.name for step in change.steps] == ["stop", "rollback", "start"]
    assert change.reason == (
        "back to one of 2026-11-22 09:00 (3 h ago): its settings go back too, "
        "and what its disks hold since then is lost"
    )
    assert (plan.refusals, plan.notes) == ((), ())
    assert "1 to roll back" in text(plan)


def test_a_replica_is_led_to_again() -> None:
    """A run that failed may have left it out of its proxies, and its mark comes back."""
    one = replace(guest(101), replica=Replica(WEB, "web", 1))
    folder = desired(one, replace(guest(102), replica=Replica(WEB, "web", 2)))
    world = complete(folder)
    proxies = {WEB: (lxc(100),)}
    (change,) = back(ONE, folder=folder, world=world, proxies=proxies).changes
    assert [step.name for step in change.steps] == ["stop", "rollback", "start", "undrain"]
    for plan in (back(ONE, folder=folder, world=world), back(ONE, proxies=proxies)):
        assert [step.name for step in plan.changes[0].steps] == ["stop", "rollback", "start"]


def test_one_that_rests_is_started_if_it_is_to_run() -> None:
    """It may be an earlier rollback that stopped it, and then broke off."""
    (resting,) = back(ONE, world=seen(state="stopped")).changes
    assert [step.name for step in resting.steps] == ["rollback", "start"]
    (base,) = back(ONE, address=BASE).changes
    assert [step.name for step in base.steps] == ["rollback"]


def test_what_else_is_lost_or_stays_is_told() -> None:
    assert back(ONE, TWO).notes == ("lxc/101: newer snapshots stay: two",)
    plan = back(replace(ONE, above=("two",)), TWO)
    assert [(f.path, f.before, f.after) for f in plan.changes[0].fields] == [
        ("snapshot", None, "one"),
        ("snapshots.two", "two", None),
    ]
    assert plan.notes == (
        "lxc/101: its storage only goes back to the newest snapshot; these newer ones are "
        "deleted: two",
    )
    assert "configured since" in back(replace(ONE, fingerprint=OLD)).notes[0]
    assert "whose data stays" in back(replace(ONE, left=("lxc-101-data",))).notes[0]
    assert "before this stack managed it" in back(replace(ONE, stack=None)).notes[0]
    base = Taken("base", NOW, STACK, NEW)
    told = back(replace(ONE, above=("base",)), base, address=BASE).notes
    assert told[1] == "lxc/900: clones are made from base; the next apply takes it again"


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (back(TWO), "lxc/101 has no snapshot one; there is two"),
        (back(), "lxc/101 has no snapshot one; there is none"),
        (back(replace(ONE, whole=False)), "that snapshot is not whole"),
        (back(ONE, world=seen(stack=None)), "was not made by this stack"),
        (back(ONE, world=seen(stack="theirs")), "was not made by this stack"),
        (back(ONE, world=seen(complete=False)), "half made"),
        (back(ONE, world=seen(state="unknown")), "can't be seen"),
        (back(ONE, world=replace(WORLD, guests={})), "lxc/101 is not there"),
        (back(ONE, world=replace(WORLD, unknown={WEB: "offline"})), "can't be seen: offline"),
        (back(ONE, world=seen(protected=True)), "phoenix rollback lxc/101 one --protected"),
        (back(ONE, folder=desired(guest(101, protected=True))), "lxc/101 is protected"),
    ],
)
def test_what_is_refused(plan: Plan, why: str) -> None:
    assert plan.changes == ()
    assert len(plan.refusals) == 1
    assert why in plan.refusals[0]


def test_a_protected_guest_with_a_clear_word() -> None:
    assert len(back(ONE, world=seen(protected=True), protected=True).changes) == 1


def test_taking() -> None:
    plan = undo.take(FOLDER, WORLD, INCUS, {WEB: (TWO,), BASE: ()}, "one")
    assert [(c.address, c.action, c.impact) for c in plan.changes] == [
        (WEB, Action.SNAPSHOT, Impact.LIVE),
        (BASE, Action.SNAPSHOT, Impact.LIVE),
    ]
    assert {s.name for c in plan.changes for s in c.steps} == {"snapshot"}
    taken = undo.take(FOLDER, WORLD, INCUS, {WEB: (ONE,)}, "one")
    assert taken.refusals == ("lxc/101 has a snapshot one already: choose another name",)
    files = undo.take(FOLDER, WORLD, INCUS, {BASE: ()}, "base")
    assert "the files have base taken" in files.refusals[0]


def test_deleting() -> None:
    def gone(listed: undo.Listed, name: str) -> Plan:
        return undo.delete(FOLDER, WORLD, INCUS, listed, name=name, now=NOW)

    (change,) = gone({WEB: (ONE,)}, "one").changes
    assert (change.impact, [s.name for s in change.steps]) == (
        Impact.DESTRUCTIVE,
        ["delete_snapshot"],
    )
    assert change.reason == "its snapshot one of 2026-11-22 09:00 (3 h ago) is deleted"
    assert "there is two" in gone({WEB: (TWO,)}, "one").refusals[0]
    base = Taken("base", NOW, STACK, NEW)
    assert "the files have base taken" in gone({BASE: (base,)}, "base").refusals[0]


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (172800, "2 days"),
    ],
)
def test_ages(ago: int, told: str) -> None:
    assert undo.age(NOW - timedelta(seconds=ago), NOW) == f"{told} ago"
    assert undo.age(NOW + timedelta(hours=1), NOW) == "0 s ago"  # another machine's clock


@pytest.mark.parametrize("name", ["ab", "before-upgrade", "A_1", "a" * 40, default_name(NOW)])
def test_names_that_every_target_takes(name: str) -> None:
    assert problem(name) == ""


@pytest.mark.parametrize(
    "name", ["", "a", "1a", "-a", "_a", "a b", "a/b", "a.b", "ä1", "a\n", "a" * 41]
)
def test_names_that_are_none(name: str) -> None:
    assert "is not the name of a snapshot" in problem(name)


@pytest.mark.parametrize("name", ["current", "Current", "vzdump", "pending", "PENDING"])
def test_names_that_are_taken(name: str) -> None:
    assert "keeps for itself" in problem(name)
