"""Reads the history: runs for people and programs, and how long steps took."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phoenix_hypervisor.history import database, origin
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.driver import HEALS
from phoenix_hypervisor.model.errors import NotFound, PhoenixError

_SAMPLES = 20_000
_LONGEST_S = 1e6
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError)
Sample = tuple[str, Address, float]
"""A kind of work, the address, and the seconds that it took."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run. `result` is `ok`, `failed`, `interrupted`, `running`, `killed` or `unknown`.

    `summary` counts the plan's changes by action. `commit` is None where the folder was not under
    Git. `plan`, `events` and `report` are only read of a single run; `plan` is None where it was
    forgotten.
    """

    id: str
    began: float
    ended: float | None
    who: str
    host: str
    command: str
    target: str
    stack: str
    version: str
    commit: str | None
    dirty: bool | None
    summary: Mapping[str, int]
    result: str
    error: str
    plan: Any = None
    events: Sequence[Mapping[str, Any]] = ()
    report: Mapping[str, Any] | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from begin to end."""
        return None if self.ended is None else self.ended - self.began


def runs(folder: Path, limit: int) -> list[PastRun]:
    """The last runs, the newest first. Raises `PhoenixError` where the file can't be read."""
    with _damage(folder):
        return [_run(row) for row in _rows(folder, "1 ORDER BY number DESC LIMIT ?", limit)]


def unended(folder: Path, limit: int) -> list[PastRun]:
    """Runs without an end, the newest first: under way, killed, or of another machine.

    Raises `PhoenixError` where the file can't be read.
    """
    with _damage(folder):
        where = "result IS NULL ORDER BY number DESC LIMIT ?"
        return [_run(row) for row in _rows(folder, where, limit)]


def run(folder: Path, word: str) -> PastRun:
    """One run with its plan and events, by its id, the beginning of it, or `last`.

    Raises `NotFound`, also where several begin so.
    """
    if word == "last":
        rows = _rows(folder, "1 ORDER BY number DESC LIMIT 1")
    else:
        rows = _rows(folder, "substr(id, 1, length(?1)) = ?1 LIMIT 2", word)
    if not word or not rows:
        raise NotFound(f"no run {word} is known", hint="`phoenix history` lists them")
    if len(rows) > 1:
        raise NotFound(f"several runs begin with {word}", hint="give more of the id")
    number = rows[0]["number"]
    plans = _select(folder, "SELECT document FROM plan WHERE run = ?", number)
    events = _select(
        folder,
        "SELECT event, address, action, step, elapsed_s, message FROM event "
        "WHERE run = ? ORDER BY rowid",
        number,
    )
    with _damage(folder):
        return replace(
            _run(rows[0]),
            plan=json.loads(plans[0]["document"]) if plans else None,
            events=tuple(dict(event) for event in events),
        )


def last_actions(folder: Path, target: str) -> dict[Address, str]:
    """What runs on a target (the name of its driver) did last to each address, as the plan calls
    it; a deletion only where it was gone then, and not by healing, which makes it anew. Raises
    `PhoenixError` where the file can't be read.
    """
    query = (
        "SELECT address, action, MAX(event.rowid) FROM event JOIN run ON run = number"
        " WHERE (target = ?1 OR target LIKE ?1 || ' %') AND event = 'finished'"
        " AND (action != 'delete'"
        " OR (step = 'delete' AND substr(command, 1, length(?2)) != ?2))"
        " GROUP BY address"
    )
    rows = _select(folder, query, target, HEALS)
    return {Address(row["address"]): row["action"] for row in rows}


def samples(folder: Path, target: str) -> list[Sample]:
    """How long steps took on a target, the newest first. Raises `database.TROUBLE`."""
    connection = database.read(folder)
    if connection is None:
        return []
    with closing(connection) as found:
        rows = found.execute(
            "SELECT work, address, seconds FROM sample WHERE target = ? "
            "ORDER BY rowid DESC LIMIT ?",
            (target, _SAMPLES),
        )
        return [
            (work, Address(address), float(seconds))
            for work, address, seconds in rows
            # The file may be damaged without SQLite noticing it.
            if isinstance(work, str) and isinstance(address, str)
            if isinstance(seconds, int | float) and 0 <= seconds < _LONGEST_S
        ]


def _rows(folder: Path, where: str, *values: object) -> list[sqlite3.Row]:
    return _select(folder, f"SELECT * FROM run WHERE {where}", *values)  # noqa: S608


@contextmanager
def _damage(folder: Path) -> Iterator[None]:
    """Rows that make no sense are a damaged file."""
    try:
        yield
    except _DAMAGED as error:
        raise PhoenixError(
            f"the history {database.path(folder)} is damaged",
            hint="remove it, and a new one is begun; nothing else needs it",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _select(folder: Path, query: str, *values: object) -> list[sqlite3.Row]:
    try:
        connection = database.read(folder)
        if connection is None:
            return []
        with closing(connection) as found:
            return found.execute(query, values).fetchall()
    except database.TROUBLE as error:
        raise PhoenixError(
            f"the history can't be read: {database.told(error, folder)}",
            hint="nothing but the history needs that file",
        ) from error


def _run(row: sqlite3.Row) -> PastRun:
    return PastRun(
        id=row["id"],
        began=row["began"],
        ended=row["ended"],
        who=row["who"],
        host=row["host"],
        command=row["command"],
        target=row["target"],
        stack=row["stack"],
        version=row["version"],
        commit=row["commit_id"],
        dirty=None if row["dirty"] is None else bool(row["dirty"]),
        summary=json.loads(row["summary"]),
        result=row["result"] or _unended(row),
        error=row["error"] or "",
        report=json.loads(row["report"]) if row["report"] else None,
    )


def _unended(row: sqlite3.Row) -> str:
    lives = origin.lives(row["host"], row["process"])
    if lives is None:
        return "unknown"
    return "running" if lives else "killed"
