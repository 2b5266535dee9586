"""One hold of the stack for all steps that are under way at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest

from phoenix_hypervisor.app import waiting
from phoenix_hypervisor.app.watching import turn as module
from phoenix_hypervisor.app.watching.turn import Hold, Turn
from phoenix_hypervisor.model.errors import StackBusy, UnknownOutcome


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


@asynccontextmanager
async def loses(after_s: float) -> AsyncIterator[None]:
    """As `drivers.shelllock`: where the lock is lost, the task that holds it is cancelled."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(after_s, task.cancel)
    try:
        yield
    except asyncio.CancelledError:
        task.uncancel()
        raise UnknownOutcome("another apply could have begun") from None


def one_after_the_other(*holds: Hold) -> Hold:
    left = iter(holds)

    def hold() -> AbstractAsyncContextManager[None]:
        return next(left)()

    return hold


async def test_steps_end_when_the_lock_is_lost_and_the_next_one_takes_it_again() -> None:
    lock = Lock()
    turn = Turn(one_after_the_other(partial(loses, 0.05), lock))

    async def step() -> None:
        async with turn.taken():
            await asyncio.sleep(20)

    async with asyncio.timeout(10):
        ended = await asyncio.gather(step(), step(), return_exceptions=True)
        assert [type(one) for one in ended] == [UnknownOutcome] * 2
        assert not turn.is_held
        async with turn.taken():
            assert lock.held
            await asyncio.sleep(0.1)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_step_that_begins_after_the_loss_joins_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = Lock()
    turn = Turn(one_after_the_other(partial(loses, 0.02), lock))
    ending = asyncio.Event()

    async def cleans_up() -> None:
        async with turn.taken():
            try:
                await asyncio.sleep(20)
            finally:
                await ending.wait()

    first = asyncio.create_task(cleans_up())
    await asyncio.sleep(0.1)
    async with turn.taken():
        assert lock.held
        ending.set()
        await asyncio.wait([first])
        assert lock.held
    with pytest.raises(UnknownOutcome):
        await first


async def test_a_hold_that_lasts_is_joined_by_nobody_and_others_get_the_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert module._PAUSE_S > 2 * waiting._AGAIN_S
    monkeypatch.setattr(module, "_JOINED_S", 0.05)
    monkeypatch.setattr(module, "_PAUSE_S", 0.1)
    lock = Lock()
    turn = Turn(lock)
    go = asyncio.Event()

    async def step() -> None:
        async with turn.taken():
            await go.wait()

    first = asyncio.create_task(step())
    await asyncio.sleep(0.1)
    second = asyncio.create_task(step())
    await asyncio.sleep(0.05)
    assert lock.taken == 1
    go.set()
    await first
    await asyncio.sleep(0.05)
    assert not lock.held
    assert not turn.is_held
    await second
    assert lock.taken == 2
