"""Where a run comes from: the user, the process, and the Git commit of the folder."""

import getpass
import os
import platform
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LIMIT_S = 1.0
_HEAD = "# branch.oid "


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and whether the folder's files differ from it."""

    id: str
    dirty: bool


def user() -> str:
    """Who runs this: the login's name, also behind `sudo`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # no such user is known here, as in a bare container
        name = str(os.geteuid())
    behind = os.environ.get("SUDO_USER")
    return f"{behind} (as {name})" if behind and behind != name else name


def process() -> str:
    """This process, told apart from a later one with the same number."""
    return f"{os.getpid()} {_started(os.getpid())}"


def lives(host: str, told: str) -> bool | None:
    """Whether the process that `process` told runs; None where this machine can't know."""
    if host != platform.node():
        return None
    number, _, started = told.partition(" ")
    return number.isdigit() and bool(started) and _started(int(number)) == started


def commit(folder: Path) -> Commit | None:
    """The commit that is checked out; None where the folder is not under Git, or Git is slow.

    Source: git-status(1), "Porcelain Format Version 2".
    """
    words = ("status", "--porcelain=v2", "--branch", "--", ".")
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        # Into a file: what Git has started may hold a pipe for longer than Git itself lives.
        with tempfile.TemporaryFile() as out:
            done = subprocess.run(
                # A watcher that the repository names would be a program of somebody else's choice.
                ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                timeout=_LIMIT_S,
                check=False,
                env=environ,
            )
            out.seek(0)
            lines = out.read().decode(errors="replace").splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    ids = [line.removeprefix(_HEAD) for line in lines if line.startswith(_HEAD)]
    if done.returncode or not ids or not ids[0].isalnum():  # `(initial)`: nothing committed yet
        return None
    return Commit(ids[0], dirty=any(not line.startswith("#") for line in lines))


def _started(number: int) -> str:
    """When a process began, as this boot's kernel counts it; empty where it is gone. proc(5)."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f"{boot} {text.rpartition(')')[2].split()[19]}"
