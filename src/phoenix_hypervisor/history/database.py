"""The file: where it lies, its tables, and why it can't be used, in words.

Source: SQLite's documentation, "Write-Ahead Logging" and "Result and Error Codes".
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

VERSION = 1
_BUSY_S = 2.0
_FOLDER = ".phoenix"
_NAME = "history.sqlite3"
_MAX_BYTES = 256 * 1024**2
_RESERVE_BYTES = 16 * 1024**2
_TABLES = """
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    began REAL NOT NULL,
    ended REAL,
    who TEXT NOT NULL,
    host TEXT NOT NULL,
    process TEXT NOT NULL,
    command TEXT NOT NULL,
    target TEXT NOT NULL,
    stack TEXT NOT NULL,
    version TEXT NOT NULL,
    commit_id TEXT,
    dirty INTEGER,
    summary TEXT NOT NULL,
    result TEXT,
    report TEXT,
    error TEXT,
    weight INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE plan (
    run INTEGER PRIMARY KEY REFERENCES run (number) ON DELETE CASCADE,
    document TEXT NOT NULL
);
CREATE TABLE event (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    event TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    step TEXT NOT NULL,
    elapsed_s REAL NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX event_of_run ON event (run);
CREATE TABLE sample (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    target TEXT NOT NULL,
    work TEXT NOT NULL,
    address TEXT NOT NULL,
    seconds REAL NOT NULL
);
CREATE INDEX sample_of_run ON sample (run);
CREATE INDEX sample_of_target ON sample (target);
"""


class NewerVersion(Exception):
    """The file's tables are of a version that this phoenix does not know."""


TROUBLE = (sqlite3.Error, OSError, NewerVersion)
"""What opening, reading and writing may raise."""


def path(folder: Path) -> Path:
    """The file of a folder."""
    return folder / _FOLDER / _NAME


def create(folder: Path) -> sqlite3.Connection:
    """Opens the file for writing; makes it, for this user alone, where it is missing."""
    file = path(folder)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignored = file.parent / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="utf-8")
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600))
    found = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)
    try:
        _prepare(found)
    except BaseException:
        found.close()
        raise
    return found


def read(folder: Path) -> sqlite3.Connection | None:
    """Opens the file for reading only; None where there is none."""
    file = path(folder)
    if not file.exists():
        return None
    found = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
    try:
        (version,) = found.execute("PRAGMA user_version").fetchone()
        _check(version)
        if not version:  # somebody is just making it
            found.close()
            return None
    except BaseException:
        found.close()
        raise
    found.row_factory = sqlite3.Row
    return found


def told(error: Exception, folder: Path) -> str:
    """Why the history can't be used, and how to mend it."""
    file = path(folder)
    if isinstance(error, NewerVersion):
        return f"{file} was written by a newer phoenix: nothing of this run is kept in it"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return f"{file} is damaged ({error}): remove it, and a new one is begun"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{file} can't be used ({said})"


def _prepare(found: sqlite3.Connection) -> None:
    found.execute("PRAGMA foreign_keys = ON")
    (version,) = found.execute("PRAGMA user_version").fetchone()
    _check(version)
    if not version:
        found.execute("PRAGMA auto_vacuum = INCREMENTAL")
    found.execute("PRAGMA journal_mode = WAL")
    found.execute("PRAGMA synchronous = NORMAL")
    (size,) = found.execute("PRAGMA page_size").fetchone()
    found.execute(f"PRAGMA max_page_count = {_MAX_BYTES // size}")
    if not version:
        _create_tables(found)


def is_full(error: Exception) -> bool:
    """Whether there was no room, in the file or on the disk."""
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL


def use_reserve(found: sqlite3.Connection) -> None:
    """Lets this connection write on where the file is full: for a run's end."""
    (size,) = found.execute("PRAGMA page_size").fetchone()
    found.execute(f"PRAGMA max_page_count = {(_MAX_BYTES + _RESERVE_BYTES) // size}")


def _create_tables(found: sqlite3.Connection) -> None:
    with closing(found.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        try:
            (version,) = cursor.execute("PRAGMA user_version").fetchone()
            if not version:  # else somebody was faster
                for statement in _TABLES.split(";"):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version = {VERSION}")
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise


def _check(version: int) -> None:
    if version > VERSION:
        raise NewerVersion
