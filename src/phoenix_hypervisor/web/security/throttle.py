"""Slows down those who try passwords: by their address, and all of them together."""

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_FREE = 5
"""Failures of one address that cost nothing."""
_LONGEST_S = 300.0
_DOUBLINGS = 9
"""After so many the wait is the longest; more would be too large for a number some day."""
_FORGET_S = 3600.0
_ALL = 60
"""Failures of everybody in `_WINDOW_S`; with more, nobody may try."""
_WINDOW_S = 60.0
_ADDRESSES = 10_000
_BROWSERS = 200


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """Remembers failures for an hour."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by: dict[str, _Failures] = {}
        self._all: deque[float] = deque(maxlen=_ALL)

    def wait_s(self, address: str, *, known: bool = False) -> float:
        """Seconds until this address may try (again); 0: now.

        `known`: it names a browser that was let in before, which waits only for its own failures.
        """
        now = self._clock()
        everybody = 0.0
        if len(self._all) == _ALL and not known:
            everybody = self._all[0] + _WINDOW_S - now
        own = 0.0
        found = self._by.get(address)
        if found is not None and now - found.last > _FORGET_S:
            del self._by[address]
        elif found is not None and found.count >= _FREE:
            wait = min(2.0 ** min(found.count - _FREE, _DOUBLINGS), _LONGEST_S)
            own = found.last + wait - now
        return max(own, everybody, 0.0)

    def failed(self, address: str, *, known: bool = False) -> None:
        """Notes a failure."""
        now = self._clock()
        if len(self._by) >= _ADDRESSES:
            self._by = {a: one for a, one in self._by.items() if now - one.last < _LONGEST_S}
        found = self._by.get(address)
        if found is None or now - found.last > _FORGET_S:
            self._by[address] = _Failures(1, now)
        else:
            found.count += 1
            found.last = now
        if not known:
            self._all.append(now)

    def succeeded(self, address: str) -> None:
        """Forgets the failures of an address."""
        self._by.pop(address, None)


class Browsers:
    """Browsers in which the password was given before: strangers' failures don't make them wait.

    OWASP's Authentication Cheat Sheet calls that device cookies. They are kept in memory, as
    hashes; the oldest of very many are forgotten.
    """

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def remember(self) -> str:
        """The name of a new one, for its cookie."""
        name = secrets.token_urlsafe(32)
        self._known[_hash(name)] = None
        while len(self._known) > _BROWSERS:
            del self._known[next(iter(self._known))]
        return name

    def find(self, name: str) -> str:
        """What a known one is called here, for `Throttle`; empty for others."""
        key = _hash(name)
        return f"browser {key}" if key in self._known else ""


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
