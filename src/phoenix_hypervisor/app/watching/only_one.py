"""One watcher for a folder, and one of this machine for a stack: two would write into one file, or
heal the same guests.

It is a `flock` on a file of the folder: the kernel drops it when its holder ends, however it dies.
The file's content says who holds it. Source: flock(2).
"""

import fcntl
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.history import origin
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import PhoenixError

_LONGEST = 4096
_LOOKS_S = 0.5
_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Holder:
    """Who watches a folder: user, machine, process, target and since when (Unix time)."""

    who: str
    host: str
    pid: int
    target: str
    since: float


@contextmanager
def hold(folder: Path, target: str) -> Iterator[None]:
    """Keeps others from watching. Raises `PhoenixError` with who does, and since when."""
    with _held(_path(folder), target, str(folder)):
        yield


@contextmanager
def hold_stack(desired: Desired, target: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Keeps this user's watchers of other folders on this machine from watching the same stack, as
    of a copy. `target` is the driver's name; simulated stacks are their folder's own.

    Raises `PhoenixError` with who does, and since when.
    """
    if target == "sim":
        yield
        return
    where = desired.target
    scope = "\0".join((target, where.endpoint or "", where.project, desired.stack))
    name = f"watch-{hashlib.sha256(scope.encode()).hexdigest()[:16]}.lock"
    with _held(filelock.folder(environ) / name, target, f"stack {desired.stack}"):
        yield


@contextmanager
def _held(path: Path, target: str, what: str) -> Iterator[None]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise PhoenixError(
            f"no lock can be kept in {path}: {error.strerror}",
            hint="is its file system full or read-only, or is that file not yours?",
        ) from error
    try:
        if not _locked(fd):
            raise PhoenixError(
                f"{what} is watched already{_told(_read(fd))}",
                hint="one watcher is enough: `phoenix status` and `phoenix slo` read what it sees; "
                "where it is a service, `phoenix watch --uninstall` ends it",
            )
        me = Holder(origin.user(), platform.node(), os.getpid(), target, time.time())
        with suppress(OSError):  # a full disk: who holds it is only for show
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(asdict(me)).encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def holder(folder: Path) -> Holder | None:
    """Who watches a folder now; None where nobody does."""
    try:
        fd = os.open(_path(folder), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd) or Holder("somebody", platform.node(), 0, "", time.time())
    else:
        return None
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    """Whether it is ours now. One who only looks holds it for a moment, which is waited for."""
    until = time.monotonic() + _LOOKS_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_AGAIN_S)
        else:
            return True


def _path(folder: Path) -> Path:
    return folder / ".phoenix" / "watch.lock"


def _read(fd: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(fd, _LONGEST, 0)))
    except (ValueError, TypeError):
        return None  # it is just being written


def _told(holder: Holder | None) -> str:
    if holder is None:
        return ""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
    return (
        f", on {holder.target}: by {holder.who} on {holder.host} (pid {holder.pid}) since {since}"
    )
