"""What drivers must do whose target outlives the process: a second process, killed at any time."""

import asyncio
import os
import pickle
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import tenacity
from tests.conformance.kit import Kit
from tests.conformance.steps import RUN, must_see, quiet, seen
from tests.conformance.suite import DriverSuite
from tests.conformance.variations import differences

from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import Locked, StackBusy


@asynccontextmanager
async def child(kit: Kit, action: str, **job: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A second process at work; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *kit.child(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    words = {
        "driver": kit.driver,
        "target": kit.target,
        "stack": kit.stack,
        "environ": dict(kit.environ),
        "folder": kit.folder,
        "action": action,
    }
    process.stdin.write(pickle.dumps(words | job))
    process.stdin.close()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line that it says."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        said = await process.stdout.readline()
    assert said, "the second process ended"
    return said.decode().strip()


class SharedDriverSuite(DriverSuite):
    """The suite, and what several processes see of each other."""

    async def test_a_stack_held_by_another_process(self, kit: Kit, driver: Driver) -> None:
        async with child(kit, "hold", run=RUN) as process:
            sleeper = int((await line(process)).removeprefix("held "))
            with pytest.raises(StackBusy) as caught:
                async with driver.hold(kit.stack, RUN):
                    pytest.fail("two hold one stack")
            assert f"(pid {process.pid}) since " in caught.value.message
            assert "`phoenix apply --yes` by ada" in caught.value.message

            process.send_signal(signal.SIGKILL)
            await process.wait()
            try:
                os.kill(sleeper, 0)  # what it started is still there, and holds nothing
                with pytest.raises(OSError, match="in the middle"):
                    await self._fail_while_holding(kit, driver)
                async with driver.hold(kit.stack, RUN) as held:
                    [one] = held.broken_off
                    assert one.id == RUN.id
                    assert f"(pid {process.pid}) since " in one.told
                async with driver.hold(kit.stack, RUN) as held:
                    assert [one.id for one in held.broken_off] == [RUN.id]  # not settled yet
                    held.broken_off.clear()
                async with driver.hold(kit.stack, RUN) as held:
                    assert held.broken_off == []
            finally:
                os.kill(sleeper, signal.SIGKILL)

    async def _fail_while_holding(self, kit: Kit, driver: Driver) -> None:
        """What it has learnt of killed ones is not lost with it, and it counts as none itself."""
        async with driver.hold(kit.stack, replace(RUN, id="fails")):
            raise OSError("in the middle")

    @pytest.mark.parametrize("after_s", [0.1, 0.5])
    async def test_a_create_that_was_killed(self, kit: Kit, driver: Driver, after_s: float) -> None:
        guest = kit.full_guest(24)
        async with child(kit, "create", guest=guest, desired=kit.desired(guest)) as process:
            assert await line(process) == "creating"
            await asyncio.sleep(after_s)
        left = await seen(driver, kit, guest)
        assert left is None or left.stack == kit.stack
        if left is None or not left.complete:
            # As apply does: whoever still works for the killed one is waited for.
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(Locked),
                stop=tenacity.stop_after_delay(120),
                wait=tenacity.wait_fixed(0.5),
                reraise=True,
            ):
                with attempt:
                    await driver.create(guest, kit.desired(guest), quiet)
        made = await must_see(driver, kit, guest)
        assert differences(driver.project(guest), made.fields) == []
