"""Keeps the file small: what is forgotten, and when."""

import sqlite3

KEEP_RUNS = 200
"""So many runs that changed something, or failed, are kept."""
KEEP_IDLE = 50
"""So many that found nothing to do: a timer's must not push the others out."""
KEEP_BYTES = 64 * 1024**2
"""So much of plans and events; older runs keep their line, and lose those."""
EVENT_BYTES = 80
"""What an event takes beside its message, about."""

_IDLE = "(COALESCE(result, '') = 'ok' AND summary = '{}')"


def thin(
    found: sqlite3.Connection,
    *,
    runs: int = KEEP_RUNS,
    idle: int = KEEP_IDLE,
    weight: int = KEEP_BYTES,
) -> None:
    """Forgets what is too old or too much. The newest run stays whole, whatever it weighs."""
    found.execute("BEGIN IMMEDIATE")
    for which, count in ((f"NOT {_IDLE}", runs), (_IDLE, idle)):
        newest = f"SELECT number FROM run WHERE {which} ORDER BY number DESC LIMIT ?"  # noqa: S608
        old = f"DELETE FROM run WHERE {which} AND number NOT IN ({newest})"  # noqa: S608
        found.execute(old, (count,))
    heavy: list[tuple[int]] = []
    total = 0
    rows = found.execute("SELECT number, weight FROM run ORDER BY number DESC").fetchall()
    for number, one in rows:
        total += one
        if one and total > weight and number != rows[0][0]:
            heavy.append((number,))
    found.executemany("DELETE FROM event WHERE run = ?", heavy)
    found.executemany("DELETE FROM plan WHERE run = ?", heavy)
    found.executemany("UPDATE run SET weight = 0 WHERE number = ?", heavy)
    found.execute("COMMIT")
    # Of a plain `execute`, which expects no rows, it would free a single page.
    found.executescript("PRAGMA incremental_vacuum")
