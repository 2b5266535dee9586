"""Who did what through the dashboard, when, and how it ended: JSON lines, never changed.

A file that has become large is kept as `audit.jsonl.1`, the one before as `.2`, and so on.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_address
from itertools import pairwise
from pathlib import Path

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.web.security.caller import Caller
from phoenix_hypervisor.web.security.private import private

_TOGETHER_S = 60.0
_MOST = 20
_LARGEST = 16 * 1024 * 1024
_OLD_FILES = 9


def _network(remote: str) -> str:
    try:
        address = ip_address(remote)
    except ValueError:
        return remote
    return str(IPv6Network((address, 64), strict=False)) if address.version == 6 else remote  # noqa: PLR2004


@dataclass(slots=True)
class _Refused:
    """Refusals that are counted; `more` came after the one that was written."""

    caller: Caller
    action: str
    since: float
    more: int = 0


class Audit:
    """The folder's `.phoenix/audit.jsonl`, for this user alone."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = folder / ".phoenix" / "audit.jsonl"
        self._clock = clock
        self._refused: dict[tuple[str, ...], _Refused] = {}

    def check(self) -> None:
        """Raises `PhoenixError` where nothing can be written: nobody may act unseen."""
        try:
            os.close(self._open())
        except OSError as error:
            raise self._bad(error) from error

    def write(
        self, caller: Caller, action: str, result: str, on: str = "", detail: str = ""
    ) -> None:
        """One line. `detail` must hold no secret. Raises `PhoenixError`."""
        self._tell_counted()
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": caller.who,
            "from": caller.remote,
            "action": action,
            "on": on,
            "result": result,
            "detail": detail,
        }
        try:
            at = self._open()
            try:
                os.write(at, json.dumps(line, ensure_ascii=True).encode() + b"\n")
            finally:
                os.close(at)
        except OSError as error:
            raise self._bad(error) from error

    def refused(self, caller: Caller, action: str, detail: str = "") -> None:
        """Somebody was refused: the first time a line, then one a minute that counts the others.

        A network of IPv6, of which a client may have all addresses, counts as one. So strangers
        can't fill the disk. Where it can't be written, they are refused all the same.
        """
        key = (caller.who, _network(caller.remote), action)
        if key not in self._refused and len(self._refused) >= _MOST:
            caller = Caller(caller.who, caller.role, "others")
            key = (caller.who, "others", action)
        with suppress(PhoenixError):
            self._tell_counted()
            if known := self._refused.get(key):
                known.more += 1
                return
            self._refused[key] = _Refused(caller, action, self._clock())
            self.write(caller, action, "refused", detail=detail)

    def _tell_counted(self) -> None:
        """Lines of what was counted for a minute."""
        before = self._clock() - _TOGETHER_S
        over = [key for key, one in self._refused.items() if one.since < before]
        for one in [self._refused.pop(key) for key in over]:
            if one.more:
                self.write(one.caller, one.action, "refused", detail=f"{one.more} times more")

    def _open(self) -> int:
        private(self.path.parent)
        self._put_aside()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.path, flags, 0o600)

    def _put_aside(self) -> None:
        """Begins a new file where this one is large."""
        with suppress(FileNotFoundError):
            if self.path.stat(follow_symlinks=False).st_size < _LARGEST:
                return
            names = [self.path.name, *(f"{self.path.name}.{n + 1}" for n in range(_OLD_FILES))]
            paths = [self.path.with_name(name) for name in names]
            for newer, older in reversed([*pairwise(paths)]):
                with suppress(FileNotFoundError):
                    newer.replace(older)

    def _bad(self, error: OSError) -> PhoenixError:
        return PhoenixError(
            f"the audit log {self.path} can't be written: {error.strerror}",
            hint="nothing is done where nobody could tell who did it",
        )
