"""What a killed run must not leave on this machine: folders, and programs that go on alone."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_SHORT = "/tmp"  # noqa: S108 - folders in it are made as `mkdtemp` does
_LONGEST = 50
"""Bytes; a socket's path may have 107, and folders of random names come behind."""
_TURN_S = 2.0
_PAUSE_S = 0.02


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A temporary folder; those that a killed process left are removed first.

    It lies in a folder that is this user's alone and holds nothing else. Whose process still lives
    is told by a lock on the folder, which ends with it. Where another one has taken that place,
    the folder lies beside it, and nothing is removed. Raises `OSError` where none can be made.
    """
    with ExitStack() as stack:
        try:
            made = _within_ours(prefix, stack)
        except OSError:
            made = Path(tempfile.mkdtemp(prefix=prefix, dir=_place()))
        stack.callback(shutil.rmtree, made, ignore_errors=True)
        yield made


def _place() -> str:
    """Where temporary files go; where that is too long for a socket's path (unix(7)), /tmp."""
    usual = tempfile.gettempdir()
    fits = len(os.fsencode(usual)) <= _LONGEST
    return usual if fits or not os.access(_SHORT, os.W_OK) else _SHORT


def _within_ours(prefix: str, stack: ExitStack) -> Path:
    """Removes what was left, and makes a folder whose lock `stack` holds.

    Only who has the turn makes folders and looks for their locks, so that one without a lock can't
    be one that is just being made.
    """
    parent = Path(_place()) / f"phx-{os.geteuid()}"
    with ExitStack() as left, _turn(parent):
        for path in parent.glob(f"{prefix}*"):
            with suppress(OSError):  # it is used, or no folder
                left.callback(os.close, _locked(path))
                left.callback(shutil.rmtree, path, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        stack.callback(_remove_if_empty, parent)
        stack.callback(os.close, _locked(made))
    return made  # what was left is gone now: each under its own lock, which takes its time


@contextmanager
def _turn(parent: Path) -> Iterator[None]:
    end = time.monotonic() + _TURN_S
    while True:
        with suppress(FileExistsError):
            parent.mkdir(mode=0o700)
        fd = _open(parent)
        try:
            found = os.fstat(fd)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
                raise PermissionError(f"{parent} is not a folder of this user alone")
            _lock(fd, end - time.monotonic())
            if parent.exists() and os.path.samestat(found, parent.lstat()):
                yield
                return  # else it was removed meanwhile
        finally:
            os.close(fd)


def _remove_if_empty(parent: Path) -> None:
    with suppress(OSError), _turn(parent):
        parent.rmdir()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _locked(path: Path) -> int:
    fd = _open(path)
    try:
        _lock(fd, 0.0)
    except OSError:
        os.close(fd)
        raise
    return fd


def _lock(fd: int, limit_s: float) -> None:
    """Raises `BlockingIOError` where another one has it for so long."""
    end = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def ending_with_us() -> Sequence[str]:
    """Before an argument vector: lets the program get a TERM when this process dies.

    Source: setpriv(1) of util-linux, `--pdeathsig`. Nothing where there is none.
    """
    return ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
