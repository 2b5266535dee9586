"""Plans that take guests over: a mark and nothing else, or a refusal with the reason."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.plan.worlds import INCUS, NEW, desired, guest, observed, plain, prints, seen

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Volume
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.adopt import make

WEB, PLAIN = guest(101), plain(102)
FOLDER = desired(WEB, PLAIN)


def theirs(wanted: Any, **words: Any) -> SeenGuest:
    return seen(wanted, **({"stack": None, "fingerprint": None} | words))


def plan(world: Observed, *ids: int, configured: bool = False) -> Plan:
    wanted = frozenset(map(lxc, ids))
    return make(FOLDER, world, INCUS, wanted, prints(FOLDER), configured=configured)


def test_the_mark_is_all_that_changes() -> None:
    made = plan(observed(FOLDER, theirs(PLAIN), theirs(WEB)), 102)
    (change,) = made.changes
    assert (change.address, change.action, change.impact) == ("lxc/102", Action.ADOPT, Impact.LIVE)
    assert [step.name for step in change.steps] == ["adopt"]
    assert (change.fields, made.refusals, made.notes) == ((), (), ())


def test_features_run_unless_their_guest_is_taken_as_configured() -> None:
    world = observed(FOLDER, theirs(WEB))
    made = plan(world, 101)
    assert [step.name for step in made.changes[0].steps] == ["adopt"]
    assert "runs its features" in made.notes[0]
    assert "--configured" in made.notes[0]
    made = plan(world, 101, configured=True)
    assert [step.id for step in made.changes[0].steps] == ["lxc/101:adopt", "lxc/101:record"]
    assert made.changes[0].steps[1].after == ("lxc/101:adopt",)
    assert made.notes == ()


def test_a_replica_that_is_taken_as_configured_is_led_to_again() -> None:
    """A run that broke off may have left it out of its proxies."""
    one, two = (guest(100 + n, replica=Replica(lxc(101), "web", n)) for n in (1, 2))
    folder = desired(one, two)
    made = make(
        folder,
        observed(folder, seen(one, fingerprint=None), seen(two, fingerprint=None)),
        INCUS,
        frozenset({lxc(101), lxc(102)}),
        prints(folder),
        configured=True,
        proxies={lxc(101): (lxc(100),)},
    )
    steps = [[step.name for step in change.steps] for change in made.changes]
    assert steps == [["undrain"], ["record"]]


def test_one_of_this_stack_is_only_recorded_where_its_inside_is_not_known() -> None:
    own = observed(FOLDER, seen(WEB, fingerprint=None), seen(PLAIN))
    assert plan(own, 101, 102).changes == ()
    assert len(plan(own, 101, 102).notes) == 2
    (change,) = plan(own, 101, 102, configured=True).changes
    assert [step.id for step in change.steps] == ["lxc/101:record"]
    assert plan(observed(FOLDER, seen(WEB, fingerprint=NEW)), 101, configured=True).changes == ()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "is not there: `phoenix apply` makes it"),
        (theirs(PLAIN, stack="other"), "belongs to the stack “other”"),
        (theirs(PLAIN, complete=False), "its creation broke off"),
        (theirs(PLAIN, state="unknown"), "can't be seen"),
        (theirs(replace(PLAIN, disk_gb=20)), "disk_gb (20 → 8)"),
        (theirs(replace(PLAIN, pool="old")), "pool (old → tank)"),
        (theirs(replace(PLAIN, volumes=(Volume("d", "tank", 1, "/d"),))), "volumes.d.pool"),
    ],
    ids=["absent", "another stack's", "half made", "unknown", "shrunk", "other pool", "a volume"],
)
def test_refusals(there: SeenGuest | None, said: str) -> None:
    made = plan(observed(FOLDER, *([there] if there else [])), 102)
    assert made.changes == ()
    (refusal,) = made.refusals
    assert refusal.startswith("lxc/102")
    assert said in refusal


def test_what_is_hidden_is_refused() -> None:
    world = replace(observed(FOLDER), unknown={lxc(102): "node pve2 is offline"})
    assert plan(world, 102).refusals == ("lxc/102 can't be seen: node pve2 is offline",)


def test_what_the_next_apply_changes_is_told() -> None:
    there = theirs(replace(PLAIN, memory_mb=256), state="stopped", pending=("rootfs",))
    notes = plan(observed(FOLDER, there), 102).notes
    assert notes == (
        "lxc/102: the next apply changes memory_mb (256 → 512)",
        "lxc/102: rootfs waits for a restart, which the next apply makes",
        "lxc/102: the next apply starts it",
    )


def test_what_the_target_refuses_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(INCUS), "problems", lambda *_: ["no privilege"])
    assert plan(observed(FOLDER, theirs(PLAIN)), 102).refusals == ("no privilege",)
    assert plan(observed(FOLDER), 102).refusals == (
        "lxc/102 is not there: `phoenix apply` makes it",
    )
