"""Plans of what people do with snapshots by hand: take one, delete one, go back to one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.snapshot import Taken
from phoenix_hypervisor.plan import schedule
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.make import changes_of
from phoenix_hypervisor.plan.rolling import Proxies

SNAPSHOT = "snapshot"
"""The field that names the snapshot which is taken (after), deleted (before) or gone back to."""
ABOVE = "snapshots."
"""Fields of newer snapshots that are deleted first, the newest first."""

Listed = Mapping[Address, Sequence[Taken]]


def take(desired: Desired, observed: Observed, driver: Driver, listed: Listed, name: str) -> Plan:
    """A plan that takes a snapshot of this name of each guest in `listed`."""
    decisions, refusals = {}, []
    for address, found in listed.items():
        if why := hindrance(address, desired, observed) or _own(address, name, desired):
            refusals.append(why)
        elif name in [one.name for one in found]:
            refusals.append(f"{address} has a snapshot {name} already: choose another name")
        else:
            fields = (FieldChange(SNAPSHOT, None, name),)
            reason = f"its snapshot {name} is taken"
            decisions[address] = Decision(
                Action.SNAPSHOT, ("snapshot",), fields=fields, reasons=(reason,)
            )
    return _plan(desired, driver, decisions, refusals)


def delete(
    desired: Desired,
    observed: Observed,
    driver: Driver,
    listed: Listed,
    *,
    name: str,
    now: datetime,
) -> Plan:
    """A plan that deletes the snapshot of this name of each guest in `listed`."""
    decisions, refusals = {}, []
    for address, found in listed.items():
        one = _named(found, name)
        if why := hindrance(address, desired, observed) or _own(address, name, desired):
            refusals.append(why)
        elif one is None:
            refusals.append(_missing(address, name, found))
        else:
            decisions[address] = Decision(
                Action.SNAPSHOT,
                ("delete_snapshot",),
                Impact.DESTRUCTIVE,
                (FieldChange(SNAPSHOT, name, None),),
                (f"its snapshot {name}{_since(one, now)} is deleted",),
            )
    return _plan(desired, driver, decisions, refusals)


def rollback(
    desired: Desired,
    observed: Observed,
    driver: Driver,
    address: Address,
    *,
    name: str,
    found: Sequence[Taken],
    now: datetime,
    protected: bool = False,
    proxies: Proxies | None = None,
) -> Plan:
    """A plan that brings one guest back to a snapshot, and starts it where it ran or is to run.

    One that rests and is to run may be what an earlier rollback that broke off has stopped.
    `protected`: also one that is. What gets lost is told in the reason and the notes. `proxies`,
    as those of `Options`, lead to a replica again, which a failed run may have taken out of them.
    """
    refused = hindrance(address, desired, observed)
    one = _named(found, name)
    if not refused and one is None:
        refused = _missing(address, name, found)
    elif not refused and one is not None and not one.whole:
        refused = f"{address} can't go back to {name}: that snapshot is not whole"
    seen = observed.guests.get(address)
    guest = desired.guests[address]
    if not refused and seen and (seen.protected or guest.protected) and not protected:
        refused = (
            f"{address} is protected: going back destroys what it holds now; "
            f"if that is what you want: phoenix rollback {address} {name} --protected"
        )
    if refused or one is None or seen is None:
        return _plan(desired, driver, {}, [refused])
    steps = ["rollback"]
    if seen.state == "running":
        steps.insert(0, "stop")
    if guest.runs or seen.state == "running":
        steps.append("start")
        if guest.replica is not None and (proxies or {}).get(address):
            steps.append("undrain")
    reason = (
        f"back to {name}{_since(one, now)}: its settings go back too, "
        "and what its disks hold since then is lost"
    )
    decision = Decision(
        Action.ROLLBACK,
        tuple(steps),
        Impact.DESTRUCTIVE,
        (
            FieldChange(SNAPSHOT, None, name),
            *(FieldChange(f"{ABOVE}{newer}", newer, None) for newer in one.above),
        ),
        (reason,),
    )
    plan = _plan(desired, driver, {address: decision}, [])
    return replace(plan, notes=tuple(_notes(address, one, found, seen, desired)))


def hindrance(address: Address, desired: Desired, observed: Observed) -> str:
    """Why nothing may be done with a guest's snapshots; empty where nothing is in the way."""
    if address in observed.unknown:
        return f"{address} can't be seen: {observed.unknown[address]}"
    seen = observed.guests.get(address)
    if seen is None:
        return f"{address} is not there: `phoenix apply` makes it"
    if seen.stack != desired.stack:
        return f"{address} was not made by this stack: it is left alone"
    if not seen.complete:
        return f"{address} is only half made: `phoenix apply` makes it anew"
    if seen.state == "unknown":
        return f"{address}: whether it runs can't be seen"
    return ""


def age(taken: datetime, now: datetime) -> str:
    """How long ago, as people say it: `2 h ago`."""
    seconds = max((now - taken).total_seconds(), 0.0)
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _notes(
    address: Address, one: Taken, found: Sequence[Taken], seen: SeenGuest, desired: Desired
) -> list[str]:
    position = [each.name for each in found].index(one.name)
    newer = [each.name for each in found[position + 1 :] if each.name not in one.above]
    told = []
    if one.above:
        told.append(
            f"{address}: its storage only goes back to the newest snapshot; these newer ones are "
            f"deleted: {', '.join(one.above)}"
        )
    template = desired.guests[address].snapshot_name
    if template in one.above:
        told.append(f"{address}: clones are made from {template}; the next apply takes it again")
    if newer:
        told.append(f"{address}: newer snapshots stay: {', '.join(newer)}")
    if one.left:
        told.append(
            f"{address}: {one.name} does not hold these volumes, whose data stays as it is: "
            f"{', '.join(one.left)}"
        )
    if one.stack != desired.stack:
        told.append(
            f"{address}: {one.name} was taken before this stack managed it: the next apply runs "
            "all its features"
        )
    elif one.fingerprint != seen.fingerprint:
        told.append(f"{address}: its inside was configured since; the next apply does that again")
    return told


def _named(found: Sequence[Taken], name: str) -> Taken | None:
    return next((one for one in found if one.name == name), None)


def _missing(address: Address, name: str, found: Sequence[Taken]) -> str:
    there = ", ".join(one.name for one in found)
    return f"{address} has no snapshot {name}; there is {there or 'none'}"


def _own(address: Address, name: str, desired: Desired) -> str:
    """A template's own snapshot is the files' matter."""
    if desired.guests[address].snapshot_name != name:
        return ""
    return f"{address}: the files have {name} taken and replaced by apply; choose another name"


def _since(one: Taken, now: datetime) -> str:
    if one.taken is None:
        return ""
    return f" of {one.taken.astimezone(now.tzinfo):%Y-%m-%d %H:%M} ({age(one.taken, now)})"


def _plan(
    desired: Desired,
    driver: Driver,
    decisions: Mapping[Address, Decision],
    refusals: Sequence[str],
) -> Plan:
    changes = changes_of(decisions, desired, driver)
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        refusals=tuple(refusals),
        estimate_s=schedule.whole(changes, desired, driver),
    )
