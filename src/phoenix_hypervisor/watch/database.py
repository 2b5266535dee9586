"""The file that measurements are kept in: where it lies, and its tables.

It is apart from the history: losing it loses the past, and what budgets are judged by.
"""

import os
import sqlite3
from pathlib import Path

from phoenix_hypervisor.model.errors import DataUnreadable

_VERSION = 1
_BUSY_S = 5.0
_TABLES = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    guest TEXT NOT NULL,
    check_name TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT '',
    UNIQUE (guest, check_name)
);
CREATE TABLE latest (
    series INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    health TEXT NOT NULL,
    message TEXT NOT NULL,
    latency_ms REAL,
    slow INTEGER NOT NULL,
    numbers TEXT NOT NULL
);
CREATE TABLE sample (
    series INTEGER NOT NULL,
    at REAL NOT NULL,
    health TEXT NOT NULL,
    latency_ms REAL,
    numbers TEXT NOT NULL
);
CREATE INDEX sample_at ON sample (at);
CREATE INDEX sample_series ON sample (series, at);
CREATE TABLE happening (
    at REAL NOT NULL,
    what TEXT NOT NULL,
    guest TEXT NOT NULL,
    text TEXT NOT NULL,
    step TEXT NOT NULL
);
CREATE INDEX happening_at ON happening (at);
CREATE TABLE rolled (until REAL NOT NULL);
INSERT INTO rolled VALUES (0);
"""
_ROLL_UP = """
CREATE TABLE {name} (
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    up_s REAL NOT NULL,
    down_s REAL NOT NULL,
    planned_s REAL NOT NULL,
    answers INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    slow INTEGER NOT NULL,
    latencies TEXT NOT NULL,
    PRIMARY KEY (series, at)
) WITHOUT ROWID;
CREATE INDEX {name}_at ON {name} (at);
"""


def path(folder: Path) -> Path:
    """The file of a folder of declarations."""
    return folder / ".phoenix" / "watch.sqlite3"


def create(folder: Path) -> sqlite3.Connection:
    """Opens it for writing; makes it, for this user alone, where it is missing.

    Raises `DataUnreadable`.
    """
    file = path(folder)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignored = file.parent / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600))
        found = sqlite3.connect(
            file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        if _version(found, file) == 0:
            found.executescript(
                "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                f"BEGIN IMMEDIATE; {_TABLES}{_ROLL_UP.format(name='minute')}"
                f"{_ROLL_UP.format(name='hour')} PRAGMA user_version = {_VERSION}; COMMIT"
            )
        found.executescript(
            "CREATE INDEX IF NOT EXISTS happening_guest ON happening (guest, at);"
            "PRAGMA synchronous = NORMAL"
        )
    except (sqlite3.Error, OSError) as error:
        raise unreadable(file, error) from error
    return found


def identity(folder: Path) -> tuple[int, int] | None:
    """Which file it is now: one that was moved away and begun anew differs. None: there is none."""
    try:
        found = path(folder).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def read(folder: Path) -> sqlite3.Connection | None:
    """Opens it for reading only; None where nothing was ever watched. Raises `DataUnreadable`."""
    file = path(folder)
    if not file.exists():
        return None
    try:
        found = sqlite3.connect(
            f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, check_same_thread=False
        )
        return found if _version(found, file) else None
    except sqlite3.Error as error:
        raise unreadable(file, error) from error


def _version(found: sqlite3.Connection, file: Path) -> int:
    (version,) = found.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise DataUnreadable(
            f"{file} was written by a newer phoenix", hint="use that one, or move the file away"
        )
    return int(version)


def unreadable(file: Path, error: Exception) -> DataUnreadable:
    """The error to raise where the file is damaged, locked or not to be reached."""
    return DataUnreadable(
        f"{file} can't be used: {error}",
        hint="mend what it says, or move the file away: a new one is begun, without the past",
    )
