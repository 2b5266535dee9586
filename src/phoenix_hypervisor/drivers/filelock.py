"""The lock of a stack for targets that live on this machine, so that two applies never mix.

It is a `flock` on a file: the kernel drops it when its holder ends, however that dies, so there
is never a stale lock to remove. The file's content says who holds it, for the second one's message.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import StackBusy

_READ_TRIES = 20
_READ_PAUSE_S = 0.01
_held: set[int] = set()


def folder(environ: Mapping[str, str]) -> Path:
    """Where lock files lie: a folder that is empty after a boot."""
    system = Path("/run/lock")
    if os.geteuid() == 0 and system.is_dir():
        return system
    return Path(environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())


@asynccontextmanager
async def hold(
    scope: str, stack: str, run: Run, *, environ: Mapping[str, str]
) -> AsyncIterator[None]:
    """Holds `stack` within `scope` (a driver and what tells its worlds apart, such as a project).

    `run.who` is the user's name. Raises `StackBusy` at once where another one holds it.
    """
    path = _file(scope, stack, environ)
    fd = _take(path, stack)
    _held.add(fd)
    try:
        _write(fd, _told(run))
        yield
    finally:
        # While it is still held: nobody else can be holding a file of this name.
        path.unlink(missing_ok=True)
        _held.discard(fd)
        os.close(fd)


def _take(path: Path, stack: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                raise _busy(stack, _read(fd)) from None
            finally:
                os.close(fd)
        if _is_file(fd, path):
            return fd
        os.close(fd)  # its holder removed it between our opening and locking it


def _is_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _file(scope: str, stack: str, environ: Mapping[str, str]) -> Path:
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", stack)[:40]
    exact = hashlib.sha256(f"{scope}\0{stack}".encode()).hexdigest()[:12]
    return folder(environ) / f"phoenix-{os.geteuid()}-{readable}-{exact}.lock"


def _told(run: Run) -> dict[str, object]:
    return {
        "run": run.id,
        "who": run.who,
        "host": platform.node(),
        "pid": os.getpid(),
        "since": time.time(),
        "command": run.command,
    }


def _write(fd: int, content: Mapping[str, object]) -> None:
    data = json.dumps(content).encode()
    os.ftruncate(fd, 0)  # one that was killed leaves its words
    os.pwrite(fd, data, 0)


def _read(fd: int) -> Mapping[str, object]:
    """What the holder wrote; empty where it has not written yet (it locks first)."""
    for _ in range(_READ_TRIES):
        try:
            content: dict[str, object] = json.loads(os.pread(fd, 65536, 0))
        except ValueError:
            time.sleep(_READ_PAUSE_S)
            continue
        return content
    return {}


def _busy(stack: str, holder: Mapping[str, object]) -> StackBusy:
    hint = "wait until it has ended, then run this again"
    since = holder.get("since")
    if not isinstance(since, int | float):
        return StackBusy(f"another apply works on stack {stack}", hint=hint)
    clock = time.strftime("%H:%M:%S", time.localtime(since))
    return StackBusy(
        f"another apply works on stack {stack}: `{holder['command']}` by {holder['who']} on "
        f"{holder['host']} (pid {holder['pid']}) since {clock}, "
        f"{max(0, round(time.time() - since))} s ago",
        hint=hint,
    )


def _forget_in_child() -> None:
    """A forked child shares the lock's open file: it would keep the lock when its parent dies."""
    for fd in _held:
        os.close(fd)
    _held.clear()


# Programs started with exec never get it: Python opens files close-on-exec (PEP 446).
os.register_at_fork(after_in_child=_forget_in_child)
