"""The plan of a restart: what it does, and what it refuses."""

from tests.unit.plan.worlds import INCUS, desired, guest, observed, seen, template

from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.observed import SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import restart


def made(one: Guest, there: SeenGuest) -> Plan:
    wanted = desired(one)
    return restart.make(wanted, observed(wanted, there), INCUS, one.address)


def test_a_guest_is_stopped_started_and_checked() -> None:
    one = guest()
    plan = made(one, seen(one))
    (found,) = plan.changes
    assert (found.action, found.impact) == (Action.START, Impact.RESTART)
    assert [step.name for step in found.steps] == ["stop", "start", "check"]
    assert plan.refusals == ()


def test_one_that_does_not_run_is_started() -> None:
    one = guest()
    plan = made(one, seen(one, state="stopped"))
    (found,) = plan.changes
    assert [step.name for step in found.steps] == ["start", "check"]
    assert found.impact is Impact.LIVE


def test_what_is_not_to_run_or_not_ours_is_left_alone() -> None:
    base, one = template(), guest()
    plan = made(base, seen(base))
    assert plan.changes == ()
    assert plan.refusals == ("lxc/900 is not to run: the files say so",)
    plan = made(one, seen(one, stack="another"))
    assert plan.changes == ()
    assert "not made by this stack" in plan.refusals[0]
