"""What the tests on the double share: guests that are there, and what must hold at the end."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.conformance.double import DoubleKit

from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.event import Failure, Report


async def made(kit: DoubleKit, *guests: Guest) -> Desired:
    """The guests, applied; the record and what was told begin anew."""
    desired = kit.desired(*guests)
    report = await kit.apply(desired=desired)
    assert report.ok, report.failed
    await kit.double.forget()
    kit.told.clear()
    return desired


async def converged(kit: DoubleKit, desired: Desired) -> None:
    """All is as the files say: exactly these guests, each whole, with no volume left behind."""
    there = {one["vmid"]: one for one in await kit.double.guests()}
    assert sorted(there) == sorted(guest.id for guest in desired.guests.values())
    assert {vmid for vmid, one in there.items() if one["lock"]} == set()
    left = [key for one in there.values() for key in one["config"] if key.startswith("unused")]
    assert left == []
    plan = await kit.plan(desired)
    assert (plan.changes, plan.refusals) == ((), ())


async def tasks(kit: DoubleKit, kind: str, guest: Guest | None = None) -> list[str]:
    """The ends of the tasks of a kind."""
    return [
        str(one.get("exitstatus"))
        for one in await kit.double.tasks()
        if one["type"] == kind and (guest is None or one["id"] == str(guest.id))
    ]


def only(report: Report) -> Failure:
    """The one failure."""
    assert not report.ok
    (failure,) = report.failed
    return failure


def retries(kit: DoubleKit) -> list[str]:
    """What was told of tries."""
    return [event.message for event in kit.told if event.event == "retry"]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns when something holds; for ten seconds at most."""
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 - it is the double, another process, that waits
            await asyncio.sleep(0.01)


async def asked_for(kit: DoubleKit, method: str, suffix: str) -> None:
    """Returns when the double has got such a request."""

    async def has() -> bool:
        return (await kit.double.asked()).of(method, suffix) != []

    await until(has)


async def tried_again(kit: DoubleKit, times: int = 1) -> None:
    """Returns when steps were tried again so often."""

    async def has() -> bool:
        return len(retries(kit)) >= times

    await until(has)
