"""A step of healing is waited for, another apply is not."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.app.watching.wards import ward

from phoenix_hypervisor.app import waiting
from phoenix_hypervisor.model.driver import HEALS, Run
from phoenix_hypervisor.model.errors import StackBusy


async def test_a_step_of_healing_is_waited_for_and_told_once(tmp_path: Path) -> None:
    session = (await ward(tmp_path)).session
    told: list[str] = []
    heard = asyncio.Event()

    def tell(text: str) -> None:
        told.append(text)
        heard.set()

    async def apply() -> str:
        async with waiting.hold(session, "phoenix apply", tell) as run:
            return run.command

    async with session.driver.hold(session.desired.stack, Run("1", "root", HEALS)):
        task = asyncio.create_task(apply())
        await asyncio.wait_for(heard.wait(), 10)
        assert not task.done()
    assert await asyncio.wait_for(task, 10) == "phoenix apply"
    [only] = told
    assert only.startswith("healing works on stack lab: `phoenix watch` by root")
    assert only.endswith("it is waited for, up to 120 s")


@pytest.mark.parametrize(("command", "says"), [(HEALS, 1), ("phoenix apply", 0)])
async def test_it_is_not_waited_for_without_end_nor_for_others(
    tmp_path: Path, command: str, says: int
) -> None:
    session = (await ward(tmp_path)).session
    told: list[str] = []
    async with session.driver.hold(session.desired.stack, Run("1", "root", command)):
        with pytest.raises(StackBusy) as caught:
            async with waiting.hold(session, "phoenix apply", told.append, limit_s=0.05):
                pytest.fail("two hold one stack")
    assert len(told) == says
    assert caught.value.heals is (command == HEALS)
