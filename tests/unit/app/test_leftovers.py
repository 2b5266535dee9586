"""What killed runs left in guests: which guests are looked into, and which runs are settled."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence

import pytest
from tests.unit.apply.nodes import Node
from tests.unit.plan.worlds import desired, guest

from phoenix_hypervisor.app import leftovers
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.driver import BrokenOff, Held, Limits
from phoenix_hypervisor.model.errors import Unreachable
from phoenix_hypervisor.model.event import EventKind

RUN = uuid.uuid4().hex[:12]
FOLDER = desired(guest(101), guest(102), guest(103))


class Here(SimDriver):
    """Its guests' shells run on this machine. `gone` can't be entered, `slow` takes long."""

    has_inside = True
    gone: frozenset[Address] = frozenset()
    slow: frozenset[Address] = frozenset()
    now = 0
    most = 0

    async def way_in(self, address: Address) -> Sequence[str]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(30 if address in self.slow else 0.02)
        self.now -= 1
        if address in self.gone:
            raise Unreachable("no shell there")
        return ["sh"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        ["sleep", "71"], env={**os.environ, "PHOENIX_RUN": f"{RUN}.check"}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def end(
    driver_type: type[Here], limit_s: float = 30.0
) -> tuple[Here, Held, list[str], list[tuple[EventKind, Address]]]:
    node = Node(FOLDER, driver_type=driver_type)
    assert (await node.apply()).ok
    driver = node.driver()
    assert isinstance(driver, Here)
    driver.limits = Limits(parallel=2)
    observed = await driver.observe(FOLDER)
    held = Held([BrokenOff(RUN, "ada"), BrokenOff("other", "bob")])
    told: list[tuple[EventKind, Address]] = []
    stack = next(iter(observed.guests.values())).stack
    assert stack is not None
    lines = await leftovers.end(
        driver,
        stack,
        observed,
        held,
        lambda kind, address, message: told.append((kind, address)),
        limit_s=limit_s,
    )
    return driver, held, lines, told


async def test_all_running_guests_are_looked_into(sleeper: subprocess.Popen[bytes]) -> None:
    driver, held, lines, told = await end(Here)
    assert await asyncio.to_thread(sleeper.wait, 5) == -15
    assert held.broken_off == []
    assert any(line.endswith(": ended what a broken-off run left running: sleep") for line in lines)
    assert {one for one in told if one[0] == "finished"} == {
        ("finished", lxc(number)) for number in (101, 102, 103)
    }
    assert driver.most == 2  # no more at once than the target stands


async def test_what_may_go_on_is_not_forgotten() -> None:
    class OneGone(Here):
        gone = frozenset({lxc(102)})

    _, held, lines, _ = await end(OneGone)
    assert lines == ["lxc/102: a broken-off run may go on there: no shell there"]
    assert [one.id for one in held.broken_off] == [RUN, "other"]


async def test_one_limit_for_all_guests() -> None:
    class Slow(Here):
        slow = frozenset({lxc(101), lxc(102), lxc(103)})

    begin = asyncio.get_running_loop().time()
    _, held, lines, _ = await end(Slow, limit_s=0.3)
    assert asyncio.get_running_loop().time() - begin < 5
    assert [line.partition(":")[0] for line in lines] == ["lxc/101", "lxc/102", "lxc/103"]
    assert len(held.broken_off) == 2


async def test_without_an_inside_nothing_can_go_on() -> None:
    class Outside(Here):
        has_inside = False
        gone = frozenset({lxc(101)})

    _, held, lines, told = await end(Outside)
    assert (held.broken_off, lines, told) == ([], [], [])
