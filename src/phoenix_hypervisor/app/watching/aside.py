"""Reads of a disk that may hang: in threads of their own, and nobody waits long for one."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """One read at a time. One that hangs holds up neither the event loop nor the process's end."""

    def __init__(self, limit_s: float) -> None:
        """A read is waited for `limit_s` seconds, at most."""
        self._limit_s = limit_s
        self._last: Future[object] | None = None

    async def __call__(self, read: Callable[[], T]) -> T:
        """What it gives, or raises. Raises `TimeoutError` at once while the one before hangs."""
        if self._last is not None and not self._last.done():
            raise TimeoutError
        found: Future[T] = Future()
        found.set_running_or_notify_cancel()  # whoever ceases to wait does not end it
        self._last = found  # type: ignore[assignment]

        def work() -> None:
            try:
                found.set_result(read())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                found.set_exception(error)

        threading.Thread(target=work, name="aside", daemon=True).start()
        async with asyncio.timeout(self._limit_s):
            return await asyncio.wrap_future(found)
