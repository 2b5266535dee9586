"""What a killed run must not leave on this machine: folders, and programs that go on alone."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_YOUNG_S = 0.2


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A temporary folder. Those of this user's that a killed process left go first.

    Whose process still lives is told by a lock on the folder, which ends with it.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):
            _remove_if_left(left)
    made = Path(tempfile.mkdtemp(prefix=prefix))
    fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(fd)


def _remove_if_left(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() or time.time() - found.st_ctime < _YOUNG_S:
            return  # somebody else's, or perhaps about to be locked
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    finally:
        os.close(fd)


def ending_with_us() -> Sequence[str]:
    """Before an argument vector: lets the program get a TERM when this process dies.

    Source: setpriv(1) of util-linux, `--pdeathsig`. Nothing where there is none.
    """
    return ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
