"""Keeps work going whose reader has left: `phoenix apply --yes | head -1` applies to its end."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


@contextmanager
def lasting() -> Iterator[None]:
    """Inside, nothing that is written to standard output or error can fail.

    What can't be shown is lost, and all that would follow it there, also afterwards.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Lasting(one)) for one in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def left(number: int) -> bool:
    """Whether nobody reads any more what is written to a file descriptor. Source: poll(2)."""
    poll = select.poll()
    poll.register(number, 0)
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in poll.poll(0))


def turn_off(number: int) -> None:
    """What is written to this file descriptor goes nowhere from here on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class _Lasting:
    """A stream that goes to /dev/null from the first write that fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            self._turn_off()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._turn_off()

    def _turn_off(self) -> None:
        turn_off(self._stream.fileno())
        self._stream.flush()  # else what it still holds would be tried again at the end
