"""Tasks of Proxmox VE (UPIDs): reading their names, waiting for their end, listing a guest's.

Source: PVE::UPID, PVE::API2::Tasks, PVE::RESTEnvironment (fork_worker).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from phoenix_hypervisor.drivers.proxmox.api.answers import Asked, of_task
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import (
    DriverError,
    NotFound,
    Retryable,
    TimedOut,
    UnknownOutcome,
    Unreachable,
)

Get = Callable[..., Awaitable[Any]]
"""`Api.get`."""

_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9][A-Za-z0-9-]*):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9}):"
    r"(?P<start>[0-9A-Fa-f]{8}):(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):"
)
_WARNINGS = re.compile(r"WARNINGS: \d+")
_FIRST_PAUSE_S = 0.08
_SHARE = 0.06
"""A pause is so much of the time that has gone by: its end is noticed that late at most."""
_LONGEST_PAUSE_S = 2.0
_TELL_EVERY_S = 3.0
_LINES = 500
_WARNING_MARK = "WARN"
_EMPTY = "no content"
"""What PVE gives as the only line of a log that has none."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a UPID tells."""

    upid: str
    node: str
    pid: int
    started: int
    """When, in seconds since 1970, by the node's clock."""
    type: str
    """Such as `vzcreate`."""
    id: str
    """What it is about, mostly a guest's id; may be empty."""
    user: str
    """Who started it, as `root@pam` or `phoenix@pve!laptop`."""

    @classmethod
    def read(cls, upid: str) -> Self:
        """Takes a UPID apart. Raises `DriverError` for another text."""
        match = _UPID.fullmatch(upid)
        if match is None:
            raise DriverError(f"{upid!r} is not the name of a task of Proxmox VE")
        return cls(
            upid,
            match["node"],
            int(match["pid"], 16),
            int(match["start"], 16),
            match["type"],
            match["id"],
            match["user"],
        )

    def __str__(self) -> str:
        return f"{self.type} {self.id}".strip()


def is_upid(data: object) -> bool:
    """Whether an answer's data is the name of a task that has begun."""
    return isinstance(data, str) and _UPID.fullmatch(data) is not None


async def wait(
    get: Get, upid: str, tell: Tell | None = None, limit_s: float = 600, user: str = "root@pam"
) -> None:
    """Returns when the task has ended well; warnings and the progress of long ones are told.

    Raises what its exit status stands for, with the end of its log as `detail`; `TimedOut` when it
    is still running after `limit_s` seconds (it is not stopped); `UnknownOutcome` when the node
    lost it (its node went down in the middle). While the daemons can't be reached (they restart,
    or another node's is asked through a broken connection) it is asked again until `limit_s`.
    """
    task = Task.read(upid)
    clock = asyncio.get_running_loop().time
    begun = told = clock()
    pause = _FIRST_PAUSE_S
    lines = 0
    while True:
        status: dict[str, Any] = {}
        lost = ""
        try:
            status = await get(path("nodes", task.node, "tasks", upid, "status"))
        except NotFound as error:
            raise UnknownOutcome(
                f"Proxmox VE knows nothing of the task {task} any more",
                hint="its node may have gone down in the middle: look at what it was to change",
                detail=upid,
            ) from error
        except (Retryable, Unreachable) as error:
            lost = error.message
        if status.get("status") == "stopped":
            return await _ended(get, task, str(status.get("exitstatus", "")), tell, user)
        if clock() - begun + pause > limit_s:
            raise _too_long(task, limit_s, lost)
        await asyncio.sleep(pause)
        pause = min(max((clock() - begun) * _SHARE, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        if tell is not None and not lost and clock() - told >= _TELL_EVERY_S:
            told = clock()
            seen = await _log(get, task, lines)
            lines += len(seen)
            said = [line.strip() for line in seen if line.strip() and not line.startswith("TASK ")]
            if said:
                tell(said[-1])


async def active(get: Get, node: str, vmid: int) -> tuple[Task, ...]:
    """The tasks of a guest that run on a node now, oldest first.

    Without `Sys.Audit` on the node only one's own are seen.
    """
    found = await get(path("nodes", node, "tasks"), source="active", vmid=vmid, limit=_LINES)
    running = [Task.read(one["upid"]) for one in found or () if "endtime" not in one]
    return tuple(sorted(running, key=lambda task: task.started))


async def _ended(get: Get, task: Task, exit_status: str, tell: Tell | None, user: str) -> None:
    if exit_status == "OK":
        return
    log = await _log(get, task, 0)
    if _WARNINGS.fullmatch(exit_status):
        if tell is not None:
            said = [line.strip() for line in log if line.strip().upper().startswith(_WARNING_MARK)]
            for line in said or [f"{task}: {exit_status}"]:
                tell(line)
        return
    asked = Asked("task", task.upid, user)
    raise of_task(asked, exit_status or "the task ended without a status", log)


async def _log(get: Get, task: Task, start: int) -> list[str]:
    """The log's lines from `start` on. A log that can't be read must not hide how a task ended."""
    where = path("nodes", task.node, "tasks", task.upid, "log")
    lines: list[str] = []
    while True:
        try:
            page = await get(where, start=start + len(lines), limit=_LINES)
        except DriverError as error:
            return [*lines, f"(the task's log can't be read: {error.message})"]
        told = [str(line.get("t", "")) for line in page or ()]
        lines += [] if told == [_EMPTY] else told
        if len(told) < _LINES:
            return lines


def _too_long(task: Task, limit_s: float, lost: str) -> TimedOut:
    still = f"Proxmox VE does not answer any more: {lost}" if lost else "it is still running"
    return TimedOut(
        f"the task {task} has not ended within {limit_s:.0f} s; {still}",
        hint=f"on the node: `pvenode task log {task.upid}` shows what it does, "
        f"`pvesh delete /nodes/{task.node}/tasks/{task.upid}` ends it",
        detail=task.upid,
    )
