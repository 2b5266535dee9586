"""Processes of this machine, looked at in /proc. Source: proc(5)."""

import os
import signal
import time
from pathlib import Path

MARK = "PHOENIX_KILLS_ROUND"
"""In the environment of each command that is broken off, and so of all that it starts."""


def marked(value: str) -> dict[int, str]:
    """All that were started with the mark: process id to command line."""
    wanted = f"{MARK}={value}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                if line:  # one that is dead and not waited for has none
                    found[int(folder.name)] = line
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def orphans(value: str, patience_s: float = 3.0) -> list[str]:
    """Those that are still there after a while, as lines for people."""
    end = time.monotonic() + patience_s
    while (left := marked(value)) and time.monotonic() < end:
        time.sleep(0.1)
    return [f"process {pid}: {line[:120]}" for pid, line in left.items()]


def children(pid: int) -> list[int]:
    """The processes that it has started itself."""
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(word) for task in tasks for word in task.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def fork_server(pid: int) -> int | None:
    """The fork server of a `phoenix` process."""
    return next((one for one in children(pid) if "forkserver" in _line(one)), None)


def workers(pid: int) -> list[int]:
    """The processes that configure guests for a `phoenix` process."""
    server = fork_server(pid)
    return children(server) if server is not None else []


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Sends a signal; whether somebody was there to get it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
