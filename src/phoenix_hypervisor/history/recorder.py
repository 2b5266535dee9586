"""Writes one run into the history as it goes, in a thread of its own, and never holds it up."""

import json
import platform
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phoenix_hypervisor.history import database, origin, thinning
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.event import Event

if TYPE_CHECKING:
    import sqlite3

_BATCH = 1000
_END_S = 3.0
_PAUSE_S = 0.2
PROGRESS_BYTES = 16 * 1024**2
"""So much is kept of what a run's steps tell on their way; their begin and end always are."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run as it begins. `plan` gives the plan's document; it is asked for in the thread.

    `works` names, for each step of an address in their order, the kind of work that it is: what
    later runs compare their own steps with.
    """

    id: str
    command: str
    target: str
    stack: str
    version: str
    summary: Mapping[str, int]
    plan: Callable[[], Any]
    works: Mapping[tuple[Address, str], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _End:
    result: str
    report: Mapping[str, object] | None
    error: str
    at: float


class Recorder:
    """One run's way into the history. `trouble` says why it is not kept; empty: all is well."""

    def __init__(self, folder: Path, begun: Begun) -> None:
        self._folder = folder
        self._begun = begun
        self._began = time.time()
        self._queue: queue.SimpleQueue[Event | _End] = queue.SimpleQueue()
        self.trouble = ""
        self._progress = 0
        self._samples = _Samples(begun)
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def take(self, event: Event) -> None:
        """Keeps an event; returns at once."""
        self._queue.put(event)

    def end(self, result: str, report: Mapping[str, object] | None = None, error: str = "") -> None:
        """The run is over: `ok`, `failed` or `interrupted`. Waits a little for the writing."""
        self._queue.put(_End(result, report, error, time.time()))
        self._thread.join(_END_S)
        if self._thread.is_alive() and not self.trouble:
            self.trouble = f"{database.path(self._folder)} is not written within {_END_S:.0f} s"

    def _run(self) -> None:
        try:
            found = database.create(self._folder)
            try:
                self._write(found)
            finally:
                found.close()
        except database.TROUBLE as error:
            self.trouble = database.told(error, self._folder)
        except Exception as error:  # noqa: BLE001 - a bug here must cost the history alone
            self.trouble = f"an unexpected {type(error).__name__}: {error}; please report this bug"

    def _write(self, found: "sqlite3.Connection") -> None:
        number = self._begin(found)
        while True:
            batch = self._together()
            events = [one for one in batch if isinstance(one, Event)]
            if not self.trouble:
                self._keep_or_tell(found, number, events)
            ends = [one for one in batch if isinstance(one, _End)]
            if ends:
                database.use_reserve(found)
                self._finish(found, number, ends[0])
                thinning.thin(found)
                return

    def _keep_or_tell(
        self, found: "sqlite3.Connection", number: int, events: Iterable[Event]
    ) -> None:
        """Where the file is full, the run's end is still written into it."""
        found.execute("BEGIN IMMEDIATE")
        try:
            self._keep(found, number, events)
            found.execute("COMMIT")
        except database.TROUBLE as error:
            if not database.is_full(error):
                raise
            if found.in_transaction:  # SQLite may have ended it by itself
                found.execute("ROLLBACK")
            self.trouble = database.told(error, self._folder)

    def _together(self) -> "list[Event | _End]":
        """What comes within a moment: one write for all of it. The end comes at once."""
        batch = [self._queue.get()]
        until = time.monotonic() + _PAUSE_S
        while len(batch) < _BATCH and not isinstance(batch[-1], _End):
            try:
                batch.append(self._queue.get(timeout=max(until - time.monotonic(), 0)))
            except queue.Empty:
                break
        return batch

    def _begin(self, found: "sqlite3.Connection") -> int:
        begun = self._begun
        plan = _json(begun.plan())
        values: dict[str, str | float | None] = {
            "id": begun.id,
            "began": self._began,
            "who": origin.user(),
            "host": platform.node(),
            "process": origin.process(),
            "command": _text(begun.command),
            "target": begun.target,
            "stack": begun.stack,
            "version": begun.version,
            "summary": json.dumps(dict(begun.summary)),
            "weight": len(plan),
        }
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        found.execute("BEGIN IMMEDIATE")
        made = found.execute(f"INSERT INTO run ({names}) VALUES ({marks})", (*values.values(),))  # noqa: S608
        number = int(made.lastrowid or 0)
        found.execute("INSERT INTO plan VALUES (?, ?)", (number, plan))
        found.execute("COMMIT")
        if (commit := origin.commit(self._folder)) is not None:
            found.execute(
                "UPDATE run SET commit_id = ?, dirty = ? WHERE number = ?",
                (commit.id, commit.dirty, number),
            )
        return number

    def _keep(self, found: "sqlite3.Connection", number: int, events: Iterable[Event]) -> None:
        rows = [
            (number, e.event, e.address, e.action, e.step, round(e.elapsed_s, 3), _text(e.message))
            for e in events
            if e.event != "progress" or self._has_room(e.message)
        ]
        found.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        samples = [
            (number, self._begun.target, work, address, seconds)
            for event in events
            for work, address, seconds in self._samples.take(event)
        ]
        found.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", samples)
        weight = sum(thinning.EVENT_BYTES + len(row[-1]) for row in rows)
        found.execute("UPDATE run SET weight = weight + ? WHERE number = ?", (weight, number))

    def _has_room(self, message: str) -> bool:
        """Whether one more line of what a step tells on its way is kept."""
        self._progress += thinning.EVENT_BYTES + len(message)
        return self._progress <= PROGRESS_BYTES

    def _finish(self, found: "sqlite3.Connection", number: int, end: _End) -> None:
        report = None if end.report is None else _json(dict(end.report))
        found.execute(
            "UPDATE run SET ended = ?, result = ?, report = ?, error = ? WHERE number = ?",
            (end.at, end.result, report, _text(end.error), number),
        )


class _Samples:
    """How long each step took: from its start to its end, if that was a good one."""

    def __init__(self, begun: Begun) -> None:
        self._works = begun.works
        self._begun: dict[tuple[Address, str], float] = {}
        self._count: dict[tuple[Address, str], int] = defaultdict(int)

    def take(self, event: Event) -> Iterable[tuple[str, Address, float]]:
        key = (event.address, event.step)
        if event.event == "started":
            self._begun[key] = event.elapsed_s
            self._count[key] += 1
        elif event.event == "finished" and key in self._begun:
            works = self._works.get(key, ())
            if self._count[key] <= len(works):
                work = works[self._count[key] - 1]
                yield work, event.address, round(event.elapsed_s - self._begun[key], 3)


def _json(value: object) -> str:
    return _text(json.dumps(value, ensure_ascii=False))


def _text(text: str) -> str:
    """Without the halves of characters that a guest's output may hold: SQLite takes none."""
    return text.encode(errors="replace").decode()
