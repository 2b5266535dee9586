"""Ends asynchronous work in order when it is interrupted, and at once when that is asked for again.

The first Ctrl-C (or SIGTERM, or the terminal's end) cancels the work, which ends what it runs in
guests and tells what is half done. That may take some seconds; who presses again is let go. Not
so who only seems to: `timeout` tells a process and its group, and a terminal's end is told twice.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from phoenix_hypervisor.cli._context import EXIT_INTERRUPTED

GRACE_S = 1.5
"""How long a second interruption waits for the work to let go."""

_ECHO_S = 0.3
"""The same signal so soon again is the same interruption, but for Ctrl-C."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = "interrupted again: leaving at once; the next apply finds and ends what is left behind\n"
_SHOW_CURSOR = "\x1b[?25h"
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end. Raises `KeyboardInterrupt` where it was cancelled."""
    watch = _Watch()

    async def wrapped() -> T:
        watch.loop, watch.task = asyncio.get_running_loop(), asyncio.current_task()
        return await work

    with watch.over():
        try:
            return asyncio.run(wrapped())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


@contextmanager
def asking() -> Iterator[None]:
    """While a person is asked something: Ctrl-C and its relatives are heard at once."""
    with _heard(signal.default_int_handler):
        yield


class _Watch:
    """Counts the interruptions. Its handler also runs while the event loop is kept busy."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[Any] | None = None
        self._count = 0
        self._last, self._at = 0, 0.0

    @contextmanager
    def over(self) -> Iterator[None]:
        """Listens; a signal that this process was told to ignore (`nohup`) stays ignored."""
        with _heard(self._interrupted):
            yield

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == self._last and number != signal.SIGINT and now - self._at < _ECHO_S:
            return
        self._last, self._at = number, now
        self._count += 1
        if self.loop is None or self.task is None or self.loop.is_closed():
            raise KeyboardInterrupt
        if self._count > 2:  # noqa: PLR2004 - the third is in earnest
            _leave()
        if self._count == 2:  # noqa: PLR2004
            os.write(2, _AGAIN.encode())
            last = threading.Timer(GRACE_S, _leave)
            last.daemon = True
            last.start()
        self.loop.call_soon_threadsafe(self.task.cancel)


@contextmanager
def _heard(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in _SIGNALS}
    heard = [one for one, was in before.items() if was != signal.SIG_IGN]
    for one in heard:
        signal.signal(one, handler)
    try:
        yield
    finally:
        for one in heard:
            signal.signal(one, before[one])


def _leave() -> None:
    if sys.stdout.isatty():
        os.write(1, _SHOW_CURSOR.encode())  # a live table hides it
    os._exit(EXIT_INTERRUPTED)
