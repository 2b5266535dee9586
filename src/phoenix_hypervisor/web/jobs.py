"""Work that was asked for in a browser or through the API, and goes on when nobody looks."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from phoenix_hypervisor.model.errors import Conflict, NotFound, PhoenixError
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import Caller

State = Literal["running", "ok", "failed", "cancelled"]
_KEPT = 50
_EVENTS = 5000

_RESUMED = "what was begun is taken up again by the next apply"
_NOTHING = "nothing has to be mended"
_HINTS = {"apply": _RESUMED, "restart": "whether the guest runs is told by the overview"}

Told = Mapping[str, Any]


@dataclass(slots=True)
class Job:
    """One piece of work. `events` are as `phoenix --json apply` prints them; times are Unix's."""

    kind: str
    on: str
    caller: Caller
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = field(default_factory=time.time)
    ended: float | None = None
    state: State = "running"
    error: str = ""
    hint: str = ""
    result: Told | None = None
    events: list[Told] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Told) -> None:
        """Adds an event; of very many the last are dropped, but never the end."""
        if len(self.events) < _EVENTS:
            self.events.append(event)
            self._wake()

    def end(self, state: State, error: str = "", hint: str = "") -> None:
        """It is over."""
        self.state, self.error, self.hint, self.ended = state, error, hint, time.time()
        self._wake()

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return {
            "id": self.id,
            "kind": self.kind,
            "on": self.on,
            "who": self.caller.who,
            "state": self.state,
            "began": self.began,
            "ended": self.ended,
            "error": self.error or None,
            "hint": self.hint or None,
            "result": self.result,
        }

    async def follow(self) -> AsyncIterator[Told]:
        """All events from the first, then each as it comes, until the job is over."""
        seen = 0
        while True:
            changed = self.changed
            while seen < len(self.events):
                yield self.events[seen]
                seen += 1
            if self.ended is not None:
                return
            await changed.wait()

    def _wake(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


Work = Callable[[Job], Awaitable[Told | None]]


class Jobs:
    """All of them, the last ones kept."""

    def __init__(self, audit: Audit, hide: Callable[[str], str]) -> None:
        self._audit = audit
        self._hide = hide
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()

    def begin(self, kind: str, on: str, caller: Caller, work: Work, about: str = "") -> Job:
        """Begins a job; `about` is what else the audit log is to say of it.

        Nobody acts unseen: raises `PhoenixError` where it can't be logged.
        """
        job = Job(kind, self._hide(on), caller)
        self._audit.write(caller, kind, "began", job.on, f"{job.id} {about}".strip())
        self._jobs[job.id] = job
        for old in [one.id for one in self._jobs.values() if one.ended is not None][:-_KEPT]:
            del self._jobs[old]
        task = asyncio.create_task(self._run(job, work))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._over(job))
        return job

    def find(self, ident: str) -> Job:
        """One job. Raises `NotFound`."""
        found = self._jobs.get(ident)
        if found is None:
            raise NotFound(f"there is no job {ident}", hint="the last ones are kept")
        return found

    def all(self) -> list[Job]:
        """All that are kept, the newest first."""
        return list(self._jobs.values())[::-1]

    def cancel(self, job: Job, caller: Caller) -> None:
        """Breaks a job off, in order, as Ctrl-C does for a command; only once.

        Raises `Conflict` where it is over, or ends already.
        """
        if job.ended is not None or job.id in self._ending:
            raise Conflict(f"job {job.id} is over, or ends already", hint="its events tell how")
        self._audit.write(caller, "cancel", "asked", job.on, job.id)
        self._break_off(job.id)

    async def close(self) -> None:
        """Breaks off what still works, and waits for it."""
        tasks = list(self._tasks.values())
        for ident in set(self._tasks) - self._ending:
            self._break_off(ident)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _break_off(self, ident: str) -> None:
        self._ending.add(ident)  # a second time would break the ending off
        if (task := self._tasks.get(ident)) is not None:
            task.cancel()

    def _over(self, job: Job) -> None:
        self._tasks.pop(job.id, None)
        self._ending.discard(job.id)
        if job.ended is None:  # it was broken off before its first step
            self._cancelled(job)
            self._log_end(job)

    def _log_end(self, job: Job) -> None:
        try:
            self._audit.write(job.caller, job.kind, job.state, job.on, job.id)
        except PhoenixError as error:
            job.hint = f"{job.hint} ({self._hide(error.message)})".strip()

    @staticmethod
    def _cancelled(job: Job) -> None:
        job.end("cancelled", "broken off", _HINTS.get(job.kind, _NOTHING))

    async def _run(self, job: Job, work: Work) -> None:
        try:
            job.result = await work(job)
        except asyncio.CancelledError:
            self._cancelled(job)
        except PhoenixError as error:
            job.end("failed", self._hide(error.message), self._hide(error.hint))
        except Exception as error:  # noqa: BLE001 - a bug: its text may hold anything
            job.end("failed", f"an unexpected {type(error).__name__}: this is a bug")
        else:
            result = job.result or {}
            if result.get("interrupted"):
                self._cancelled(job)
            else:
                job.end("failed" if result.get("ok") is False else "ok")
        self._log_end(job)
