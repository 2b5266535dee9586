"""After an unknown outcome: looks whether a step's effect is there, instead of guessing."""

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.model.change import Action, Change, Step


async def achieved(step: Step, change: Change, means: Means) -> bool:
    """Whether the world is as if the step had succeeded."""
    if step.name == "make":
        return False  # what does it looks itself, and does the rest
    observed = await means.driver.observe(means.desired)
    if step.address in observed.unknown:
        return False  # out of sight is not gone
    if step.name == "ensure":
        return step.address in observed.resources
    seen = observed.guests.get(step.address)
    if step.name == "delete":
        return seen is None and step.address not in observed.resources
    if seen is None:
        return False
    if step.name == "update":
        return all(seen.fields.get(field.path) == field.after for field in change.fields)
    if change.action is Action.SNAPSHOT:
        found = await means.driver.snapshots(step.address)
        there, whole = {one.name for one in found}, {one.name for one in found if one.whole}
        return all(
            (field.after in whole) if field.before is None else (field.before not in there)
            for field in change.fields
        )
    if step.name == "snapshot":
        guest = means.desired.guests[step.address]
        snapshot = seen.snapshot(guest.snapshot_name or "phoenix")
        return snapshot is not None and snapshot.fingerprint == seen.fingerprint
    states = {
        "adopt": seen.stack == means.desired.stack,
        "create": seen.complete and seen.stack == means.desired.stack,
        "start": seen.state == "running",
        "stop": seen.state == "stopped",
    }
    return states.get(step.name, False)
