"""One hold of the stack for all steps that are under way at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from phoenix_hypervisor.app.watching.turn import Turn
from phoenix_hypervisor.model.errors import StackBusy


class Lock:
    """Tells how often it was taken; `other` has it while that is set."""

    def __init__(self) -> None:
        self.taken = 0
        self.held = False
        self.other = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        if self.other:
            raise StackBusy("`phoenix apply` by ada works on it")
        assert not self.held
        self.taken += 1
        self.held = True
        try:
            yield
        finally:
            await asyncio.sleep(0)
            self.held = False


async def test_steps_that_overlap_hold_it_once() -> None:
    lock = Lock()
    turn = Turn(lock)
    inside = asyncio.Barrier(3)

    async def step() -> None:
        async with turn.taken():
            await inside.wait()
            assert lock.held
            assert turn.is_held

    await asyncio.gather(step(), step(), step())
    assert (lock.taken, lock.held, turn.is_held) == (1, False, False)
    async with turn.taken():
        assert lock.held
    assert lock.taken == 2


async def test_what_somebody_else_holds_is_refused_at_once_and_had_afterwards() -> None:
    lock = Lock()
    turn = Turn(lock)
    lock.other = True
    for _ in range(2):
        with pytest.raises(StackBusy, match="by ada"):
            async with turn.taken():
                raise AssertionError
        assert not turn.is_held
    lock.other = False
    async with turn.taken():
        assert lock.held


async def test_a_step_that_fails_or_is_cancelled_gives_it_back() -> None:
    lock = Lock()
    turn = Turn(lock)
    with pytest.raises(ZeroDivisionError):
        async with turn.taken():
            raise ZeroDivisionError
    assert not lock.held
    began = asyncio.Event()

    async def step() -> None:
        async with turn.taken():
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(step())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not lock.held
