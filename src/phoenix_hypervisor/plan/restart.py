"""The plan that restarts one guest at a person's wish, and waits until it serves again."""

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import schedule
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.make import changes_of
from phoenix_hypervisor.plan.undo import hindrance


def make(desired: Desired, observed: Observed, driver: Driver, address: Address) -> Plan:
    """The plan; it is refused for a guest that is not this stack's, or is not to run."""
    guest, seen = desired.guests[address], observed.guests.get(address)
    refused = hindrance(address, desired, observed)
    if not refused and not guest.runs:
        refused = f"{address} is not to run: the files say so"
    decisions = {}
    if not refused and seen is not None:
        running = seen.state == "running"
        steps = ["stop", "start"] if running else ["start"]
        if guest.checks and driver.has_inside:
            steps.append("check")
        reason = "it is stopped, and started again" if running else "it does not run: it is started"
        impact = Impact.RESTART if running else Impact.LIVE
        decisions[address] = Decision(Action.START, tuple(steps), impact, reasons=(reason,))
    changes = changes_of(decisions, desired, driver)
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        refusals=(refused,) if refused else (),
        estimate_s=schedule.whole(changes, desired, driver),
    )
