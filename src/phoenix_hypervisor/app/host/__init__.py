"""`phoenix host`: the host itself, planned and applied like its guests.

desired -> look (every part, and what is installed) -> decide -> plan -> apply -> look again
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from phoenix_hypervisor.app.host import driver_upgrade, restart, software
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.drivers import shelllock
from phoenix_hypervisor.drivers.shelllock import Place
from phoenix_hypervisor.host import nvidia_driver, parts
from phoenix_hypervisor.host.part import Choice, Decided, Part, Seen, Task
from phoenix_hypervisor.host.planning import make
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import PhoenixError, Unsupported
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.plan import Plan

_SOFTWARE_TURN = 50
_ALONE_TURN = 90
"""From here on a part waits for all others: it may cut off who is at work."""


class HostWork:
    """One session's work on its host. Made once for a plan and its apply."""

    def __init__(self, session: Session, choice: Choice) -> None:
        self._session = session
        self._choice = choice
        self._maker: dict[Address, Part] = {}
        self._software = software.Software(session)
        self._stopped: list[Guest] = []
        session.make = self._make

    async def plan(self, tell: Tell) -> Plan:
        """What would change. Raises `Unsupported` where the target has no host."""
        node = await self._session.driver.node()
        looking = [self._decide(part, node) for part in parts()]
        found = await asyncio.gather(self._software.look(node, tell), *looking)
        installed, *decided = found
        by_turn = list(zip(parts(), decided, strict=True))
        before = [one for part, one in by_turn if part.turn < _SOFTWARE_TURN]
        after = [one for part, one in by_turn if _SOFTWARE_TURN <= part.turn < _ALONE_TURN]
        grounds = tuple(task.address for each in before for task in each.tasks)
        installed = replace(
            installed,
            tasks=tuple(replace(task, after=(*grounds, *task.after)) for task in installed.tasks),
        )
        after = [_following(each, [installed]) for each in after]
        everything = [*before, installed, *after]
        for part, one in by_turn:
            if part.turn >= _ALONE_TURN:
                everything.append(_behind(one, everything))
        everything.append(await restart.decided(node, everything, self._choice))
        plan = make(self._session.desired.stack, self._session.driver.name, everything)
        plan = replace(plan, host=await _name(node), here=await restart.is_here(node))
        plan = await driver_upgrade.with_guests(self._session, plan, restart.ADDRESS)
        self._stopped = driver_upgrade.stopped(plan, self._session.desired)
        return plan

    async def start_stopped(self, tell: Tell) -> str:
        """After an apply that failed or was interrupted: guests that it stopped for the driver, and
        did not start, start again. Tells how that went; empty where there are none.

        An exchange that is at work on the node is waited for: it needs the cards for itself.
        """
        try:
            left = await driver_upgrade.at_rest(self._stopped, self._session)
        except PhoenixError as error:
            return f"whether they run can't be seen: {error.message}"
        return await self._start_again(left, tell)

    async def _start_again(self, guests: Sequence[Guest], tell: Tell) -> str:
        if not guests:
            return ""
        driver = self._session.driver
        try:
            await nvidia_driver.at_rest(await driver.node(), tell)
        except PhoenixError as error:
            names = ", ".join(guest.address for guest in guests)
            return (
                f"{names}: stopped, until it can be seen that the driver is at rest "
                f"({error.message}); `phoenix host apply` and `phoenix apply` start them"
            )
        return await driver_upgrade.start_again(guests, driver, tell)

    async def _decide(self, part: Part, node: Node) -> Decided:
        desired = self._session.desired
        try:
            seen = await part.look(node, desired)
        except Unsupported as error:
            seen, note = Seen(), error.message
            decided = part.decide(desired, seen, self._choice)
            return Decided(notes=(f"left out here: {note}",)) if decided.tasks else Decided()
        decided = part.decide(desired, seen, self._choice)
        self._maker |= {task.address: part for task in decided.tasks}
        return decided

    async def _make(self, change: Change, tell: Tell) -> None:
        node = await self._session.driver.node()
        part = self._maker.get(change.address)
        if change.address == restart.ADDRESS:
            await restart.make(node, tell)
            return
        if part is None:
            await self._software.make(node, change, tell)
            return
        task = Task(
            change.address,
            change.action,
            change.fields,
            change.reason,
            change.impact,
            change.after,
            change.estimate_s,
        )
        try:
            await part.make(node, task, self._session.desired, tell)
        except PhoenixError as error:
            if change.address == nvidia_driver.ADDRESS and self._stopped:
                told = await self._start_again(self._stopped, tell)
                error.detail = "\n".join(one for one in (error.detail, told) if one)
            raise


@asynccontextmanager
async def hold(session: Session, command: str) -> AsyncIterator[None]:
    """Keeps others away from the stack, and from its host, whatever stack they set that up for.

    Raises `StackBusy`, and `Unsupported` where the target has no host.
    """
    node = await session.driver.node()
    async with session.hold(command, cuts=True) as run:
        name = await _name(node)  # a clear error where there's no way
        told = replace(run, command=f"{command} (stack {session.desired.stack})")
        place = Place("phoenix.host", f"host {name}", name, lambda: node.way_in)
        async with shelllock.hold(place, told) as held:
            held.broken_off.clear()  # what those left is found by looking
            yield


async def _name(node: Node) -> str:
    """How the host calls itself."""
    said = await node.run("uname -n", "the host's own name")
    return said.out.strip() or node.name


def left_over(plan: Plan) -> Mapping[Address, str]:
    """What still differs after an apply, which it should not: address to reason."""
    return {change.address: change.reason for change in plan.changes if change.steps}


def outstanding(plan: Plan) -> Mapping[Address, str]:
    """What the plan shows and does not do, since it was not allowed: address to reason."""
    return {change.address: change.reason for change in plan.changes if not change.steps}


def _following(decided: Decided, others: Sequence[Decided]) -> Decided:
    """These decisions, once all of those have ended, well or not."""
    first = tuple(task.address for each in others for task in each.tasks)
    return replace(
        decided,
        tasks=tuple(replace(task, behind=(*first, *task.behind)) for task in decided.tasks),
    )


def _behind(decided: Decided, others: Sequence[Decided]) -> Decided:
    """These decisions, after all of those."""
    before = tuple(task.address for each in others for task in each.tasks)
    return replace(
        decided,
        tasks=tuple(replace(task, after=(*before, *task.after)) for task in decided.tasks),
    )


__all__ = ["Choice", "HostWork", "hold", "left_over", "outstanding"]
