"""Sessions of people in browsers: kept here, in memory; the cookie is only a random name of one.

OWASP's Session Management Cheat Sheet: at least 64 random bits (here 256), an end when idle and an
end at last, a new name at every login.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from phoenix_hypervisor.web.security.caller import Caller, Role

_MOST = 50
"""Sessions of one login (the password, or one token): one more ends the longest unused of them."""


@dataclass(slots=True)
class Session:
    """One login. Times are of the monotonic clock, in seconds.

    `key` is what the server calls it; `opened_by` the hash of the password or token that it came
    by, empty where neither did.
    """

    who: str
    role: Role
    remote: str
    begun: float
    used: float
    key: str
    opened_by: str = ""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def caller(self) -> Caller:
        """Who that is."""
        return Caller(self.who, self.role, self.remote, self.csrf, self.key)


class Sessions:
    """All of them. `idle_s` after its last use, and `lifetime_s` after its begin, one ends.

    One also ends when `holds` says that the hash of what opened it is no key any more. `ended` is
    called with the key of each that has ended.
    """

    def __init__(
        self,
        idle_s: float,
        lifetime_s: float,
        clock: Callable[[], float] = time.monotonic,
        holds: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._idle_s = idle_s
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._holds = holds
        self._open: dict[str, Session] = {}
        self.ended: Callable[[str], None] = lambda _: None

    def open(self, who: str, role: Role, remote: str, opened_by: str = "") -> str:
        """Begins one; its name, for the cookie."""
        now = self._clock()
        for key in list(self._open):
            self.at(key)
        same = [one for one in self._open.values() if one.who == who]
        if len(same) >= _MOST:
            self._end(min(same, key=lambda one: one.used).key)
        name = secrets.token_urlsafe(32)
        key = _key(name)
        self._open[key] = Session(who, role, remote, now, now, key, opened_by)
        return name

    def find(self, name: str, *, use: bool = True) -> Session | None:
        """The session of this name, if it has not ended. `use`: this counts as its use."""
        found = self.at(_key(name))
        if found is not None and use:
            found.used = self._clock()
        return found

    def at(self, key: str) -> Session | None:
        """The session of this key, if it has not ended."""
        found = self._open.get(key)
        if found is None:
            return None
        now = self._clock()
        if (
            now >= found.used + self._idle_s
            or now >= found.begun + self._lifetime_s
            or not self._holds(found.opened_by)
        ):
            self._end(key)
            return None
        return found

    def close(self, name: str) -> None:
        """Ends one."""
        self._end(_key(name))

    def _end(self, key: str) -> None:
        if self._open.pop(key, None) is not None:
            self.ended(key)


def _key(name: str) -> str:
    # Names are looked up by their hash: how long that takes tells nothing about them.
    return hashlib.sha256(name.encode()).hexdigest()
