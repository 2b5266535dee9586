"""One hold of the stack for all steps of healing that are under way at the same time.

Guests that go down together are healed together; to others who want the stack it is held once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

Hold = Callable[[], AbstractAsyncContextManager[Any]]


class Turn:
    """Holds the stack from the first step's beginning to the last one's end."""

    def __init__(self, hold: Hold) -> None:
        """`hold` enters the stack's lock, or raises `StackBusy` at once."""
        self._hold = hold
        self._gate = asyncio.Lock()
        self._users = 0
        self._release = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None

    @property
    def is_held(self) -> bool:
        """Whether the stack is ours just now."""
        return bool(self._users)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """The stack is ours within. Raises `StackBusy`."""
        async with self._gate:
            if self._holder is None:  # one who leaves just now may hold it still
                await self._begin()
            self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            async with self._gate:
                if not self._users:
                    await self._end()

    async def _begin(self) -> None:
        held = asyncio.get_running_loop().create_future()
        self._release.clear()
        # A lock belongs to the task that took it, which must not be one of the steps.
        self._holder = asyncio.create_task(self._keep(held))
        try:
            await asyncio.wait([held, self._holder], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._end()
            raise
        if not held.done():
            await self._end()

    async def _keep(self, held: "asyncio.Future[None]") -> None:
        async with self._hold():
            held.set_result(None)
            await self._release.wait()

    async def _end(self) -> None:
        self._release.set()
        if self._holder is not None:
            holder, self._holder = self._holder, None
            await holder
