"""What all parts of the host share: the usual decisions, and the plan that they become."""

from phoenix_hypervisor.host import parts
from phoenix_hypervisor.host.part import Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.host.planning import make
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange

ONE, TWO, THREE = Address("dataset/a/one"), Address("dataset/a/two"), Address("dataset/a/three")


def test_what_is_missing_is_created_and_what_differs_updated() -> None:
    wanted = [Wanted(ONE, {"quota": 1}), Wanted(TWO, {"quota": 2}, (ONE,))]
    seen = Seen({TWO: {"quota": 1, "atime": "on"}})
    create, update = differences(wanted, seen)
    assert (create.address, create.action) == (ONE, Action.CREATE)
    assert (update.address, update.action) == (TWO, Action.UPDATE)
    assert update.fields == (FieldChange("quota", 1, 2),)
    assert update.reason == "quota differs"
    assert update.after == (ONE,)


def test_what_is_as_wanted_needs_nothing_and_others_are_left_alone() -> None:
    seen = Seen({ONE: {"quota": 1, "atime": "on"}, TWO: {"quota": 7}})
    assert differences([Wanted(ONE, {"quota": 1})], seen) == []


def test_a_plan_waits_only_for_what_it_holds() -> None:
    there = Task(TWO, Action.CREATE, after=(ONE, THREE), estimate_s=2.0)
    plan = make(
        "s", "proxmox", [Decided((Task(ONE, Action.CREATE),), notes=("n",)), Decided((there,))]
    )
    assert [change.address for change in plan.changes] == [ONE, TWO]
    assert plan.changes[1].after == (ONE,)
    assert plan.changes[1].steps[0].after == (plan.changes[0].steps[0].id,)
    assert (plan.notes, plan.estimate_s) == (("n",), 3.0)


def test_every_part_has_a_name_of_its_own_and_a_turn() -> None:
    names = [part.name for part in parts()]
    assert len(names) == len(set(names))
    assert [part.turn for part in parts()] == sorted(part.turn for part in parts())
