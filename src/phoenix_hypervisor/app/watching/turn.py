"""One hold of the stack for all steps of healing that are under way at the same time.

Guests that go down together are healed together; to others who want the stack it is held once, and
not for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Hold = Callable[[], AbstractAsyncContextManager[Any]]
_JOINED_S = 30.0
"""No step joins a hold that has lasted so long."""
_PAUSE_S = 1.5
"""After such a hold others have so long to take the stack; commands ask twice a second."""


@dataclass(eq=False, slots=True)
class _Held:
    """One hold, and the steps within it. A lock belongs to the task that took it, which must not be
    one of them.
    """

    began: float
    release: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    steps: set["asyncio.Task[Any]"] = field(default_factory=set)
    stopped: set["asyncio.Task[Any]"] = field(default_factory=set)
    error: BaseException | None = None

    def ended(self, holder: "asyncio.Task[None]") -> None:
        """The lock is given back, or was lost: then its steps must not go on."""
        self.error = None if holder.cancelled() else holder.exception()
        self.over.set()
        self.stopped |= self.steps
        for step in self.steps:
            step.cancel()


class Turn:
    """Holds the stack from the first step's beginning to the last one's end."""

    def __init__(self, hold: Hold) -> None:
        """`hold` enters the stack's lock, or raises `StackBusy` at once. Where it ends by itself
        since the lock was lost, the steps are cancelled, and end with its error.
        """
        self._hold = hold
        self._gate = asyncio.Lock()
        self._held: _Held | None = None
        self._free_at = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether the stack is ours just now."""
        held = self._held
        return held is not None and bool(held.steps) and not held.over.is_set()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """The stack is ours within. Raises `StackBusy`."""
        step = asyncio.current_task()
        if step is None:
            raise RuntimeError("a turn is taken by a task")
        held = await self._join(step)
        try:
            yield
        except BaseException as error:
            if step in held.stopped:
                others = step.uncancel()
                cancelled = isinstance(error, asyncio.CancelledError)
                if cancelled and not others and held.error is not None:
                    raise held.error from None
            raise
        finally:
            held.steps.discard(step)
            if not held.steps:
                await self._end(held)

    async def _join(self, step: "asyncio.Task[Any]") -> _Held:
        loop = asyncio.get_running_loop()
        while True:
            async with self._gate:  # one who leaves just now may hold it still
                held = self._held
                if held is None or held.over.is_set():
                    await asyncio.sleep(self._free_at - loop.time())
                    held = self._held = await self._begin(loop.time())
                if not held.release.is_set() and loop.time() < held.began + _JOINED_S:
                    held.steps.add(step)
                    return held
            await held.over.wait()

    async def _begin(self, now: float) -> _Held:
        ready = asyncio.get_running_loop().create_future()
        held = _Held(now)
        holder = asyncio.create_task(self._keep(held, ready))
        holder.add_done_callback(held.ended)
        try:
            await asyncio.wait([ready, holder], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            held.release.set()
            await held.over.wait()
            raise
        if not ready.done():
            await holder
        return held

    async def _keep(self, held: _Held, ready: "asyncio.Future[None]") -> None:
        async with self._hold():
            ready.set_result(None)
            await held.release.wait()

    async def _end(self, held: _Held) -> None:
        """What was done within is done, whatever comes of giving the lock back."""
        held.release.set()
        loop = asyncio.get_running_loop()
        if loop.time() >= held.began + _JOINED_S:
            self._free_at = loop.time() + _PAUSE_S
        await held.over.wait()
