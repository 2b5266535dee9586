"""Estimates from earlier runs."""

from dataclasses import replace

from tests.unit.plan.worlds import (
    INCUS,
    clone,
    complete,
    desired,
    guest,
    observed,
    planned,
    template,
)

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Boot
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import as_json
from phoenix_hypervisor.plan.estimate import LAST, Pace, pace, refined, works
from phoenix_hypervisor.plan.schedule import hands

FOLDER = desired(template(900), clone(101, template(900)), clone(102, template(900)))
HANDS = hands(FOLDER, INCUS.limits, 4)


def fresh() -> Plan:
    return planned(FOLDER, observed(FOLDER, resources={}))


def seconds(plan: Plan) -> dict[str, float]:
    return {step.id: step.estimate_s for change in plan.changes for step in change.steps}


def test_the_median_of_the_last_times() -> None:
    times = [3.0, 100.0, 2.0, 4.0, 3.5, *[900.0] * 9]
    assert LAST == 5
    known = pace(("start", lxc(1), each) for each in times)
    assert known == Pace({("start", lxc(1)): 3.5}, {"start": 3.5})


def test_the_guest_itself_knows_best() -> None:
    known = pace([("start", lxc(1), 9.0), ("start", lxc(2), 1.0), ("start", lxc(2), 1.0)])
    assert known.of("start", lxc(1)) == 9.0
    assert known.of("start", lxc(3)) == 1.0
    assert known.of("stop", lxc(1)) is None


def test_without_any_history_the_driver_is_believed() -> None:
    plan = fresh()
    same = refined(plan, FOLDER, INCUS, pace([]), HANDS)
    assert seconds(same) == seconds(plan)
    assert replace(same, estimate_s=plan.estimate_s) == plan


def test_what_was_seen_replaces_what_the_driver_thinks() -> None:
    plan = fresh()
    kinds = works(plan, FOLDER, INCUS)
    (configure,) = kinds[lxc(101), "configure"]
    known = pace([(configure, lxc(101), 70.0)])
    after = refined(plan, FOLDER, INCUS, known, HANDS)
    assert seconds(after)[f"{lxc(101)}:configure"] == 70.0
    assert seconds(after)[f"{lxc(102)}:configure"] == 70.0  # the same work on another guest
    unknown = {k: v for k, v in seconds(plan).items() if not k.endswith("configure")}
    assert unknown.items() <= seconds(after).items()
    (change,) = (one for one in after.changes if one.address == lxc(101))
    assert change.estimate_s == sum(step.estimate_s for step in change.steps)
    assert after.estimate_s > plan.estimate_s


def test_nothing_but_estimates_is_changed() -> None:
    plan = fresh()
    known = pace(
        [(work, a, 5.0) for (a, _), each in works(plan, FOLDER, INCUS).items() for work in each]
    )
    after = refined(plan, FOLDER, INCUS, known, HANDS)
    assert set(seconds(after).values()) == {5.0}
    as_json.refuse_if_moved(after, plan)
    as_json.refuse_if_edited(after, plan)
    assert after.basis == plan.basis


def test_other_conditions_are_other_work() -> None:
    new = works(fresh(), FOLDER, INCUS)
    changed = complete(FOLDER)
    there = {a: replace(one, fingerprint="old") for a, one in changed.guests.items()}
    again = works(planned(FOLDER, replace(changed, guests=there)), FOLDER, INCUS)
    key = (lxc(101), "configure")
    assert new[key] != again[key]
    more = desired(template(900), clone(101, template(900), features=()), guest(102))
    assert (
        works(planned(more, observed(more)), more, INCUS)[lxc(102), "create"]
        != new[lxc(102), "create"]
    )


def test_a_step_that_comes_twice_has_two_works() -> None:
    found = works(fresh(), FOLDER, INCUS)
    assert len(found[lxc(101), "start"]) == 1
    running = desired(guest(103, snapshot_name="base", boot=Boot(at_boot=True)))
    assert len(works(planned(running, observed(running)), running, INCUS)[lxc(103), "start"]) == 2
