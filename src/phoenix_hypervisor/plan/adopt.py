"""Plans to take guests over: they get the stack's mark, and nothing else of them is changed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import Desired, Guest, Json
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import schedule
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.diff import diff
from phoenix_hypervisor.plan.make import changes_of
from phoenix_hypervisor.plan.rolling import Proxies


@dataclass(slots=True)
class _Judged:
    decisions: dict[Address, Decision] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make(
    desired: Desired,
    observed: Observed,
    driver: Driver,
    wanted: frozenset[Address],
    fingerprints: Mapping[Address, str | None],
    *,
    configured: bool = False,
    proxies: Proxies | None = None,
) -> Plan:
    """A plan that takes these guests of the files over.

    `fingerprints`: what each guest's inside is to be; with `configured` it is taken as being so.
    What the next apply would change is told in the notes; a difference that it could only mend by
    destroying data is a refusal. `proxies`, as those of `Options`, lead to a replica again whose
    inside is taken as being so: a run that broke off may have taken it out of them.
    """
    judged = _Judged()
    for address in sorted(wanted, key=addresses.order):
        guest, seen = desired.guests[address], observed.guests.get(address)
        if address in observed.unknown:
            judged.refusals.append(f"{address} can't be seen: {observed.unknown[address]}")
        elif seen is None:
            judged.refusals.append(f"{address} is not there: `phoenix apply` makes it")
        elif (reason := _reason(seen, desired.stack)) is not None:
            judged.refusals.append(f"{address}: {reason}")
        else:
            inside = fingerprints.get(address)
            led = guest.replica is not None and bool((proxies or {}).get(address))
            _judge(judged, guest, seen, driver, inside, configured=configured, led=led)
    part = replace(desired, guests={a: desired.guests[a] for a in wanted}, pools={}, bridges={})
    changes = changes_of(judged.decisions, desired, driver)
    return Plan(
        stack=desired.stack,
        driver=driver.name,
        changes=changes,
        refusals=(*judged.refusals, *(driver.problems(part, observed, changes) if changes else ())),
        notes=tuple(judged.notes),
        estimate_s=schedule.whole(changes, desired, driver),
    )


def _reason(seen: SeenGuest, stack: str) -> str | None:
    """Why it can't be taken over, whatever the files say."""
    if seen.stack not in (None, stack):
        return f"it belongs to the stack “{seen.stack}”, and is left to it"
    if not seen.complete:
        return "its creation broke off, or goes on: look again when it has ended"
    if seen.state == "unknown":
        return "whether it runs can't be seen"
    return None


def _judge(
    judged: _Judged,
    guest: Guest,
    seen: SeenGuest,
    driver: Driver,
    inside: str | None,
    *,
    configured: bool,
    led: bool,
) -> None:
    address = guest.address
    record = configured and inside is not None and seen.fingerprint != inside
    if seen.stack is not None and not record:
        judged.notes.append(f"{address} belongs to this stack already")
        return
    changes = diff(driver.project(guest), seen.fields)
    lost = [c for c in changes if driver.impact(guest, seen, c) is Impact.DESTRUCTIVE]
    if lost:
        judged.refusals.append(
            f"{address}: the files differ from it so that the next apply would destroy data: "
            f"{_told(lost)}; make the files fit it first"
        )
        return
    if seen.stack is None and not seen.fields:
        judged.notes.append(f"{address}: how it differs from the files shows once it is taken over")
    if changes:
        judged.notes.append(f"{address}: the next apply changes {_told(changes)}")
    judged.notes += _next(guest, seen, inside, record=record)
    last = "undrain" if led else "record"
    steps = (*(("adopt",) if seen.stack is None else ()), *((last,) if record else ()))
    what = "it is nobody's so far" if seen.stack is None else "it is this stack's"
    more = "; its inside is taken as being as the files say" if record else ""
    judged.decisions[address] = Decision(Action.ADOPT, steps, Impact.LIVE, reasons=(what + more,))


def _next(guest: Guest, seen: SeenGuest, inside: str | None, *, record: bool) -> Iterator[str]:
    """What the next apply does beside changing fields."""
    address = guest.address
    if inside is not None and not record and seen.fingerprint != inside:
        yield (
            f"{address}: the next apply runs its features, since what is inside is not known; "
            "with --configured they are taken as applied"
        )
    if seen.pending:
        waits = ", ".join(seen.pending)
        yield f"{address}: {waits} waits for a restart, which the next apply makes"
    if guest.runs and seen.state == "stopped":
        yield f"{address}: the next apply starts it"
    if not guest.runs and seen.state == "running":
        yield f"{address}: the next apply stops it: the files say that it rests"
    if guest.snapshot_name is not None and seen.snapshot(guest.snapshot_name) is None:
        yield f"{address}: the next apply takes its snapshot {guest.snapshot_name}"


def _told(changes: list[FieldChange] | tuple[FieldChange, ...]) -> str:
    return ", ".join(f"{c.path} ({_value(c.before)} → {_value(c.after)})" for c in changes)


def _value(value: Json) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
