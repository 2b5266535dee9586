"""An exchange of the host's NVIDIA driver is one plan with the guests that use its cards.

stop them all -> the host's driver, looked at card by card -> each guest: start, user space, checks

Where the driver is not taken, the old one is put back (`host/nvidia_driver.py`), and the guests
that were stopped for it start again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.host.nvidia_driver import ADDRESS
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, Change, Impact, Step
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.driver import Driver, Tell
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.observed import SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.make import changes_of
from phoenix_hypervisor.plan.options import Options

_FEATURE = "nvidia"


async def with_guests(session: Session, plan: Plan, restart: Address) -> Plan:
    """The plan with the guests that use the cards, where it exchanges the driver.

    `restart` is the address of the node's restart: where the plan shows one that is not allowed,
    the new driver doesn't run yet, and the guests are left alone.
    """
    exchange = next((one for one in plan.changes if one.address == ADDRESS), None)
    if exchange is None or not {one.path for one in exchange.fields} & {"installed", "running"}:
        return plan
    users = {g.address for g in session.desired.guests.values() if g.kind == "lxc" and g.gpus}
    if not users:
        return plan
    waits = next((one for one in plan.changes if one.address == restart), None)
    if waits is not None and not waits.steps:
        listed = ", ".join(sorted(users))
        told = f"{listed}: their user space follows after the restart, by `phoenix apply`"
        return replace(plan, notes=(*plan.notes, told))
    ordinary, observed = await session.plan(Options(targets=frozenset(users)))
    changes = {one.address: one for one in ordinary.changes}
    decisions = {
        address: decision
        for address in sorted(users)
        if (seen := observed.guests.get(address)) is not None
        and seen.stack == session.desired.stack
        and (
            decision := decide(
                session.desired.guests[address], seen, changes.get(address), session.driver
            )
        )
    }
    return weave(plan, changes_of(decisions, session.desired, session.driver), restart)


def decide(
    guest: Guest, seen: SeenGuest, ordinary: Change | None, driver: Driver
) -> Decision | None:
    """What happens to one guest that uses the cards; nothing, where it is not to run or not whole.

    `ordinary` is what a plan of the guests would do with it: that tells whether its inside differs.
    """
    running = seen.state == "running"
    if not seen.complete or not (running or guest.runs):
        return None
    if ordinary is not None and ordinary.action in (Action.CREATE, Action.REPLACE):
        return None
    inside = ordinary is not None and any(one.name == "configure" for one in ordinary.steps)
    follows = inside and any(use.name == _FEATURE for use in guest.features)
    names = ["stop"] * running
    if guest.runs:
        names += ["start", *(["configure"] * follows)]
        names += ["check"] * (bool(guest.checks) and driver.has_inside)
    reason = "it uses the host's graphics driver"
    reason += ", and its user space follows" * follows
    impact = Impact.RESTART if running else Impact.LIVE
    return Decision(Action.CONFIGURE, tuple(names), impact, reasons=(reason,))


def weave(plan: Plan, more: Sequence[Change], restart: Address) -> Plan:
    """The plan with the guests around the exchange: all stop before it, and start after it.

    They stop when all that the exchange itself waits for is done, so that nothing else's failure
    finds them stopped.
    """
    first = next(one.steps[0] for one in plan.changes if one.address == ADDRESS)
    stops = tuple(step.id for change in more for step in change.steps if step.name == "stop")
    last = next(
        one.steps[-1].id
        for address in (restart, ADDRESS)
        for one in plan.changes
        if one.address == address and one.steps
    )
    changes = [_after(one, stops) if one.address == ADDRESS else one for one in plan.changes]
    changes += (_behind(one, last, first) for one in more)
    return replace(
        plan,
        changes=tuple(changes),
        estimate_s=plan.estimate_s + max((one.estimate_s for one in more), default=0.0),
    )


def _after(change: Change, stops: Sequence[str]) -> Change:
    first, *rest = change.steps
    return replace(change, steps=(replace(first, after=(*first.after, *stops)), *rest))


def _behind(change: Change, last: str, exchange: Step) -> Change:
    """Its stopping waits for what the exchange waits for, all the rest for the exchange."""
    steps = tuple(
        replace(step, after=(*step.after, *exchange.after), behind=exchange.behind)
        if step.name == "stop"
        else replace(step, after=(*step.after, last))
        for step in change.steps
    )
    before = Address(last.rpartition(":")[0])
    return replace(change, steps=steps, after=(*change.after, before))


def stopped(plan: Plan, desired: Desired) -> list[Guest]:
    """The guests that the plan stops for the driver and starts again."""
    names: Mapping[Address, list[str]] = {c.address: _names(c.steps) for c in plan.changes}
    return [desired.guests[a] for a, own in names.items() if own[:2] == ["stop", "start"]]


def _names(steps: Sequence[Step]) -> list[str]:
    return [step.name for step in steps]


async def at_rest(guests: Sequence[Guest], session: Session) -> list[Guest]:
    """Those that a run which did not come to its end has left stopped."""
    seen = (await session.driver.observe(session.desired)).guests if guests else {}
    there = [(guest, seen.get(guest.address)) for guest in guests]
    return [guest for guest, now in there if now is not None and now.state == "stopped"]


async def start_again(guests: Sequence[Guest], driver: Driver, tell: Tell) -> str:
    """Starts the guests after an exchange that failed; tells how that went."""
    lost = []
    for guest in guests:
        try:
            await driver.start(guest, tell)
        except PhoenixError as error:
            lost.append(f"{guest.address} does not start: {error.message}")
    there = [guest.address for guest in guests if not any(guest.address in one for one in lost)]
    told = [f"{', '.join(there)} run again"] if there else []
    return "; ".join([*told, *lost])
