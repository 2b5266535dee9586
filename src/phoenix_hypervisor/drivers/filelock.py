"""The lock of a stack for targets that live on this machine, so that two applies never mix.

It is a `flock` on a file: the kernel drops it when its holder ends, however that dies, so there
is never a stale lock to remove. The file's content says who holds it, for the second one's message;
one that was killed leaves it, and so the next one knows.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import platform
import re
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from phoenix_hypervisor.model.driver import HEALS, BrokenOff, Held, Run
from phoenix_hypervisor.model.errors import PhoenixError, StackBusy

_READ_TRIES = 20
_READ_PAUSE_S = 0.01
_AGAIN_S = 0.2
_REMEMBERED = 20
_LONGEST = 65536
_ID = re.compile(r"[0-9A-Za-z-]{1,40}")
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
) -> AsyncIterator[Held]:
    """Holds `stack` within `scope` (a driver and what tells its worlds apart, such as a project).

    `run.who` is the user's name. Raises `StackBusy` at once where another one holds it, and
    `PhoenixError` where no lock can be kept.
    """
    path = _file(scope, stack, environ)
    with _explained(path):
        fd = _take(path, stack)
    _held.add(fd)
    try:
        with _explained(path):
            before = broken_off(os.pread(fd, _LONGEST, 0))
            _write(fd, told(run, before))
        held = Held(list(before))
        try:
            yield held
        except BaseException as error:
            if not is_perhaps_left(held, error):
                _leave(fd, path, held)
            raise
        _leave(fd, path, held)
    finally:
        _held.discard(fd)
        os.close(fd)


@asynccontextmanager
async def turn(
    name: str, wait: Callable[[], None], environ: Mapping[str, str]
) -> AsyncIterator[None]:
    """Waits until no other process of this user has its turn at `name`, which may last minutes.

    `wait` is called once, where there is something to wait for. Raises `PhoenixError` where no lock
    can be kept.
    """
    path = _file("turn", name, environ)
    told = False
    while True:
        with _explained(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        _held.add(fd)
        try:
            while not _is_ours(fd):
                if not told:
                    told = True
                    wait()
                await asyncio.sleep(_AGAIN_S)
            if _is_file(fd, path):  # else the one before removed it
                yield
                path.unlink(missing_ok=True)
                return
        finally:
            _held.discard(fd)
            os.close(fd)


def _is_ours(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_perhaps_left(held: Held, error: BaseException) -> bool:
    """Whether the holder leaves in a hurry, so that what it runs may go on without it.

    What it wrote then stays for the next one.
    """
    return held.begun and isinstance(error, asyncio.CancelledError | KeyboardInterrupt)


def _leave(fd: int, path: Path, held: Held) -> None:
    """Leaves written what is still to be settled; while it is held nobody else has the file."""
    with suppress(OSError):  # then more is remembered than has to be
        if held.broken_off:
            _write(fd, {"before": remembered(held.broken_off)})
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PhoenixError(
            f"no lock can be kept in {path}: {error.strerror}",
            hint="is its file system full or read-only, or is that file not yours?",
        ) from error


def _take(path: Path, stack: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if not _is_ours(fd):
            try:
                raise busy(f"stack {stack}", _read(fd))
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


def told(run: Run, before: Sequence[BrokenOff] = ()) -> dict[str, object]:
    """What a holder writes for the others; `before` are the ones that were killed."""
    return {
        "run": run.id,
        "who": run.who,
        "host": platform.node(),
        "pid": os.getpid(),
        "since": time.time(),
        "command": run.command,
        "before": remembered(before),
    }


def remembered(before: Sequence[BrokenOff]) -> list[list[str]]:
    """The runs that were killed, as they are written down; the last of very many."""
    return [[one.id, one.told] for one in before[-_REMEMBERED:]]


def broken_off(left: bytes) -> tuple[BrokenOff, ...]:
    """The runs that were killed, oldest first, from what the last one left written."""
    content = _parsed(left) or {}
    before = content.get("before")
    ids = [one for one in before if _is_one(one)] if isinstance(before, list) else []
    if (who := _who(content)) and _is_one([content.get("run"), who]):
        ids.append([content["run"], who])
    return tuple(BrokenOff(ident, text) for ident, text in ids)


def _is_one(one: object) -> bool:
    """Whether it is an id (which is looked for in guests) with a text."""
    return (
        isinstance(one, list)
        and [type(part) for part in one] == [str, str]
        and _ID.fullmatch(one[0]) is not None
    )


def _parsed(data: bytes) -> dict[str, Any] | None:
    """A holder's words; None where they are not complete."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else {}


def _write(fd: int, content: Mapping[str, object]) -> None:
    data = json.dumps(content).encode()
    os.ftruncate(fd, 0)  # one that was killed leaves its words
    os.pwrite(fd, data, 0)


def _read(fd: int) -> Mapping[str, object]:
    """What the holder wrote; empty where it has not written yet (it locks first)."""
    for _ in range(_READ_TRIES):
        content = _parsed(os.pread(fd, _LONGEST, 0))
        if content is not None:
            return content
        time.sleep(_READ_PAUSE_S)
    return {}


def busy(what: str, holder: Mapping[str, object]) -> StackBusy:
    """The error for the second one, from what the holder of `what` (such as `stack shop`) wrote."""
    heals = holder.get("command") == HEALS
    hint = "wait until it has ended, then run this again"
    said = f"{'healing' if heals else 'another apply'} works on {what}"
    if who := _who(holder):
        ago = max(0, round(time.time() - float(str(holder["since"]))))
        said += f": {who}, {ago} s ago"
    error = StackBusy(said, hint=hint)
    error.heals = heals
    return error


def _who(holder: Mapping[str, object]) -> str:
    """`phoenix apply` by whom, where and since when; empty for words that it did not write so."""
    try:
        clock = time.strftime("%H:%M:%S", time.localtime(float(str(holder["since"]))))
        return (
            f"`{holder['command']}` by {holder['who']} on {holder['host']} "
            f"(pid {holder['pid']}) since {clock}"
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return ""  # not written by this version, or damaged: it is held all the same


def _forget_in_child() -> None:
    """A forked child shares the lock's open file: it would keep the lock when its parent dies."""
    for fd in _held:
        os.close(fd)
    _held.clear()


# Programs started with exec never get it: Python opens files close-on-exec (PEP 446).
os.register_at_fork(after_in_child=_forget_in_child)
