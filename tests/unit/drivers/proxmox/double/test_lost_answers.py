"""Faults: requests that get no answer, or another one, before or after they were carried out.

Whatever happens to one request, at the end there is each guest once, as the files say; a good one
is never thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from tests.conformance.double import DoubleKit
from tests.unit.drivers.proxmox.double.worlds import converged, made, only, tasks

from phoenix_hypervisor.model.desired import CloneOf, Guest
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.event import Report
from phoenix_hypervisor.plan.make import destroy

When = Literal["before", "after"]
LOST = ("drop", "502", "595", "596", "599")
"""After these nobody knows what became of the request."""


@dataclass(frozen=True)
class Case:
    """A request on the way from one state of the files to another."""

    method: str
    suffix: str
    before: Callable[[DoubleKit], list[Guest]]
    after: Callable[[DoubleKit], list[Guest]]
    task: str = ""


def resting(kit: DoubleKit, number: int = 0) -> Guest:
    return kit.guest(number, snapshot_name="ready")


def cloned(kit: DoubleKit) -> Guest:
    source = resting(kit)
    return kit.guest(1, source=CloneOf(source.address, "ready"), snapshot_name="own")


def none(kit: DoubleKit) -> list[Guest]:
    del kit
    return []


CASES = {
    "create": Case("POST", "/lxc", none, lambda k: [resting(k)], "vzcreate"),
    "clone": Case(
        "POST", "/clone", lambda k: [resting(k)], lambda k: [resting(k), cloned(k)], "vzclone"
    ),
    "config": Case(
        "PUT",
        "/config",
        lambda k: [resting(k)],
        lambda k: [replace(resting(k), memory_mb=300, cores=2)],
    ),
    "resize": Case(
        "PUT",
        "/resize",
        lambda k: [resting(k)],
        lambda k: [replace(resting(k), disk_gb=4)],
        "resize",
    ),
    "snapshot": Case("POST", "/snapshot", none, lambda k: [resting(k)], "vzsnapshot"),
    "start": Case(
        "POST", "/status/start", lambda k: [resting(k)], lambda k: [k.guest(0)], "vzstart"
    ),
    "stop": Case("POST", "/status/shutdown", lambda k: [k.guest(0)], lambda k: [resting(k)]),
}


async def order(kit: DoubleKit, case: Case, fault: str, when: When, times: int | None = 1) -> None:
    if fault == "drop":
        await kit.double.drop(case.method, case.suffix, when, times)
        return
    await kit.double.answer(
        case.method,
        case.suffix,
        int(fault),
        "oops" if fault == "500" else "Connection timed out",
        when=when,
        times=times,
        html=fault == "502",
    )


# All are one type of error: for the most of the requests two are enough.
MATRIX = [
    (name, fault)
    for name in CASES
    for fault in (LOST if name in ("create", "config") else ("drop", "599"))
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "fault"), MATRIX)
async def test_a_lost_answer(kit: DoubleKit, name: str, fault: str, when: When) -> None:
    """The same apply finds out, and ends well; nothing is done twice that was done once."""
    case = CASES[name]
    await made(kit, *case.before(kit))
    before = len(await tasks(kit, case.task))
    desired = kit.desired(*case.after(kit))
    await order(kit, case, fault, when)
    report = await kit.apply(desired=desired)
    assert report.ok, report.failed
    await converged(kit, desired)
    assert await tasks(kit, "vzdestroy") == []
    if case.task:
        assert (await tasks(kit, case.task))[before:] == ["OK"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", CASES)
async def test_an_error_that_says_nothing(kit: DoubleKit, name: str, when: When) -> None:
    """Status 500: told as it is, and not tried again; the next apply converges."""
    case = CASES[name]
    await made(kit, *case.before(kit))
    desired = kit.desired(*case.after(kit))
    await order(kit, case, "500", when)
    report = await kit.apply(desired=desired)
    if name == "stop":  # it then was stopped hard
        assert report.ok
    else:
        assert only(report).message == "oops"
        assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def removed(kit: DoubleKit, guest: Guest, driver: Driver) -> Report:
    desired = kit.desired(guest)
    alone = frozenset({guest.address})
    plan = destroy(desired, await driver.observe(desired), driver, alone)
    return await kit.walk(plan, desired, driver)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", [*LOST, "500"])
async def test_a_deletion(kit: DoubleKit, fault: str, when: When) -> None:
    guest = kit.guest(0)
    other = resting(kit, 3)
    await made(kit, guest, other)
    await order(kit, Case("DELETE", f"/lxc/{guest.id}", none, none), fault, when)
    async with kit.open() as driver:
        report = await removed(kit, guest, driver)
        if fault == "500":
            assert only(report).message == "oops"
            report = await removed(kit, guest, driver)
        assert report.ok, report.failed
    assert await tasks(kit, "vzdestroy") == ["OK"]
    await converged(kit, kit.desired(other))


async def test_no_answer_ever(kit: DoubleKit) -> None:
    """A write that is lost each time is given up, and told; what is there is not thrown away."""
    guest = resting(kit)
    await made(kit, guest)
    desired = kit.desired(replace(guest, memory_mb=300))
    await order(kit, CASES["config"], "drop", "before", times=None)
    failure = only(await kit.apply(desired=desired))
    assert failure.step == "update"
    assert failure.message.startswith("the connection to Proxmox VE broke before its answer came")
    assert "may or may not have been made" in failure.hint
    await kit.double.no_faults()
    assert (await kit.apply(desired=desired)).ok
    await converged(kit, desired)


async def test_a_guest_that_was_made_is_gone_on_with(kit: DoubleKit) -> None:
    """Held up after its making, by a lock of somebody's, it is not made twice."""
    guest = resting(kit)
    busy = "can't lock file '/run/lock/lxc/pve-config-1.lock' - got timeout"
    await kit.double.answer("PUT", "/config", 500, busy, times=2)
    desired = kit.desired(guest)
    assert (await kit.apply(desired=desired)).ok
    assert await tasks(kit, "vzcreate", guest) == ["OK"]
    assert await tasks(kit, "vzdestroy") == []
    await converged(kit, desired)
