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
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import PhoenixError, StackBusy

_READ_TRIES = 20
_READ_PAUSE_S = 0.01
_held: set[int] = set()


def folder(environ: Mapping[str, str]) -> Path:
    """Where lock files lie: a folder that is this user's alone, and empty after a boot.

    Never straight in a folder that others write to: they could make the file first, and block
    this user's applies for as long as they like. Raises `PhoenixError` where the folder can't be
    made, or isn't this user's alone.
    """
    path = _place(environ)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise PhoenixError(f"no lock can be kept in {path}: {error.strerror}") from error
    open_to_others = stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or open_to_others:
        raise PhoenixError(
            f"{path} is not a folder of this user alone, so no lock is kept in it",
            hint=f"look who made it, then remove it: rm -r {path}",
        )
    return path


def _place(environ: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return Path("/run/phoenix")
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    with suppress(OSError):
        # After `su` it names the folder of another user.
        if runtime.stat().st_uid == os.geteuid():
            return runtime / "phoenix"
    return Path(tempfile.gettempdir()) / f"phoenix-{os.geteuid()}"


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
        _write(fd, told(run))
        yield
    finally:
        # While it is still held: nobody else can be holding a file of this name.
        path.unlink(missing_ok=True)
        _held.discard(fd)
        os.close(fd)


def _take(path: Path, stack: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                raise busy(stack, _read(fd)) from None
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
    return folder(environ) / f"{readable}-{exact}.lock"


def told(run: Run) -> dict[str, object]:
    """What a holder writes for the others."""
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
            content = json.loads(os.pread(fd, 65536, 0))
        except (ValueError, RecursionError):
            time.sleep(_READ_PAUSE_S)
            continue
        return content if isinstance(content, dict) else {}
    return {}


def busy(stack: str, holder: Mapping[str, object]) -> StackBusy:
    """The error for the second one, from what the holder wrote."""
    hint = "wait until it has ended, then run this again"
    said = f"another apply works on stack {stack}"
    try:
        since = float(str(holder["since"]))
        clock = time.strftime("%H:%M:%S", time.localtime(since))
        said += (
            f": `{holder['command']}` by {holder['who']} on {holder['host']} "
            f"(pid {holder['pid']}) since {clock}, {max(0, round(time.time() - since))} s ago"
        )
    except (KeyError, ValueError, OverflowError, OSError):
        # Not written by this version, or damaged: it is held all the same.
        return StackBusy(said, hint=hint)
    return StackBusy(said, hint=hint)


def _forget_in_child() -> None:
    """A forked child shares the lock's open file: it would keep the lock when its parent dies."""
    for fd in _held:
        os.close(fd)
    _held.clear()


# Programs started with exec never get it: Python opens files close-on-exec (PEP 446).
os.register_at_fork(after_in_child=_forget_in_child)
