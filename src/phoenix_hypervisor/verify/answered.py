"""Turns what can go wrong while a check asks into a plain no, in one place for all kinds."""

import asyncio
import errno
import functools
import importlib
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from phoenix_hypervisor.model.check import Check, Outcome, Place
from phoenix_hypervisor.model.errors import PhoenixError, TimedOut

CheckT = TypeVar("CheckT", bound=Check)

_INSIDE_GRACE_S = 20.0
_SHOWN = 160
_REASONS = {
    errno.ECONNREFUSED: "connection refused on",
    errno.EHOSTUNREACH: "no route to",
    errno.ENETUNREACH: "no route to",
    errno.ETIMEDOUT: "no connection to",
    errno.ECONNRESET: "connection broken off by",
    errno.EPIPE: "connection broken off by",
}


class No(Exception):
    """The check's answer is no, for this reason. `answered`: something did answer, wrongly; or, if
    it is `late`, rightly and too late.
    """

    def __init__(
        self,
        message: str,
        *,
        answered: bool = True,
        late: bool = False,
        latency_ms: float | None = None,
        numbers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.answered = answered
        self.late = late
        self.latency_ms = latency_ms
        self.numbers = numbers or {}


@dataclass(frozen=True, slots=True)
class Yes:
    """What was good, and the latency to show where that is not the time of the whole asking.

    `numbers` is more that was measured.
    """

    message: str
    latency_ms: float
    numbers: Mapping[str, float] = field(default_factory=dict)


def answered(
    *needs: str,
) -> Callable[
    [Callable[[CheckT, Place], Awaitable[str | Yes]]],
    Callable[[CheckT, Place], Coroutine[Any, Any, Outcome]],
]:
    """Makes `Check.ask` of a method that returns what was good, or raises `No`.

    It gets `timeout_s` for all it does; what `Place` raises is a no as well. `needs` are modules
    that the method imports: they are loaded before the clock starts.
    """

    def wrap(
        ask: Callable[[CheckT, Place], Awaitable[str | Yes]],
    ) -> Callable[[CheckT, Place], Coroutine[Any, Any, Outcome]]:
        @functools.wraps(ask)
        async def outcome(check: CheckT, place: Place) -> Outcome:
            for name in needs if check.source == "outside" else ():
                importlib.import_module(name)
            # From inside the place itself keeps the limit, and ends what it started there.
            grace_s = 0.0 if check.source == "outside" else _INSIDE_GRACE_S
            began = time.perf_counter()
            try:
                async with asyncio.timeout(check.timeout_s + grace_s):
                    message = await ask(check, place)
            except No as no:
                took = _ms(began) if no.latency_ms is None else round(no.latency_ms, 2)
                latency = took if no.answered else None
                return Outcome(False, no.message, latency, no.numbers, no.late)
            except (TimeoutError, TimedOut):
                return Outcome(False, f"no answer within {check.timeout_s:g} s")
            except PhoenixError as error:
                return Outcome(False, error.message)
            if isinstance(message, Yes):
                latency_ms = round(message.latency_ms, 2)
                return Outcome(True, message.message, latency_ms, message.numbers)
            return Outcome(True, message, _ms(began))

        return outcome

    return wrap


def at(address: str, port: int) -> str:
    """An address with its port; IPv6 in brackets (RFC 3986)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def refused(error: OSError, where: str) -> No:
    """The no for a connection that failed, in words: `connection refused on 10.0.0.5:5432`."""
    if error.errno in _REASONS:
        return No(f"{_REASONS[error.errno]} {where}", answered=False)
    words = os.strerror(error.errno) if error.errno else str(error)
    return No(f"no connection to {where}: {words}", answered=False)


def first_line(text: str) -> str:
    """The first line that says something, not too long for a message."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def last_line(text: str) -> str:
    """The last line that says something: where tools put their error."""
    return first_line("\n".join(reversed(text.splitlines())))


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
