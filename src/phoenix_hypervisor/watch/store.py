"""Measurements in SQLite: samples for two hours, then minutes for a day, then hours.

One process writes (`Store`); any number read (`Reader`), also while it writes. A guest's own time
line is the series with the empty name; each of its checks has one as well.
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watching import Answer, Happening, What
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.clock import Clock
from phoenix_hypervisor.watch.roll_up import HOUR_S, MINUTE_S, RollUp, minutes
from phoenix_hypervisor.watch.rows import COLUMNS, as_row, read_row
from phoenix_hypervisor.watch.time_line import Stretch, Totals

SAMPLES_S = 2 * HOUR_S
MINUTES_S = 26 * HOUR_S
HOURS_S = 400 * 24 * HOUR_S
_KEEP_OPEN_S = 3 * MINUTE_S
WHOLE: str = ""
"""The name of the series that is the guest as a whole."""

Key = tuple[Address, str]


@dataclass(frozen=True, slots=True)
class Point:
    """One place of a plot: `at` is the start of its step, Unix time. Latencies in ms."""

    at: float
    answers: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    numbers: Mapping[str, float] = field(default_factory=dict)


class Reader:
    """Reads what was measured; all methods block for the short time of a query."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.row_factory = sqlite3.Row

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """None where nothing was ever watched. Raises `DataUnreadable`."""
        found = database.read(folder)
        return None if found is None else cls(found)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def latest(self) -> list[Answer]:
        """What each check said last, in the order of guests and checks."""
        rows = self._db.execute(
            "SELECT guest, check_name, kind, at, health, message, latency_ms, slow, numbers"
            " FROM latest JOIN series ON series = id ORDER BY id"
        )
        return [
            Answer(
                guest=row["guest"],
                check=row["check_name"],
                kind=row["kind"],
                at=row["at"],
                health=row["health"],
                message=row["message"],
                latency_ms=row["latency_ms"],
                slow=bool(row["slow"]),
                numbers=_numbers(row["numbers"]),
            )
            for row in rows
        ]

    def rolled(self, start: float, end: float, check: str = WHOLE) -> dict[Address, RollUp]:
        """What was measured in a window, by guest: of the guest itself, or of its check `check`.

        Edges are cut at full minutes; those further back than a day, at full hours.
        """
        found: dict[Address, RollUp] = {}
        for row in self._parts(start, end, "check_name = ?", (check,)):
            found.setdefault(row["guest"], RollUp()).merge(read_row(row))
        return found

    def each(self, start: float, end: float) -> dict[Key, RollUp]:
        """What was measured in a window of every series, guests and checks alike."""
        found: dict[Key, RollUp] = {}
        for row in self._parts(start, end, "1", ()):
            key = (row["guest"], row["check_name"])
            found.setdefault(key, RollUp()).merge(read_row(row))
        return found

    def summed(
        self, start: float, end: float, answers_of: Sequence[Address] = ()
    ) -> dict[Address, RollUp]:
        """By guest: its own times, and of some guests the answers of all their checks.

        No latencies. Much faster than `rolled`, with the same edges.
        """
        found: dict[Address, RollUp] = {}
        for table, begin, until in self._whole_hours(start, end):
            for row in self._sums(table, begin, until, "check_name = ''", ()):
                part = found.setdefault(row["guest"], RollUp())
                part.up_s += row["up_s"]
                part.down_s += row["down_s"]
                part.planned_s += row["planned_s"]
            among = f"check_name != '' AND guest IN ({', '.join('?' * len(answers_of))})"
            rows = self._sums(table, begin, until, among, answers_of) if answers_of else ()
            for row in rows:
                part = found.setdefault(row["guest"], RollUp())
                part.answers += row["answers"]
                part.failed += row["failed"]
                part.slow += row["slow"]
        return found

    def totals(self, guest: Address, start: float, end: float) -> Totals:
        """How long a guest was up, down, and away on purpose in a window."""
        whole = RollUp()
        for row in self._parts(start, end, "guest = ? AND check_name = ''", (guest,)):
            whole.merge(read_row(row))
        return whole.totals

    def plot(self, guest: Address, check: str, start: float, end: float) -> list[Point]:
        """A check's answers over a time: each sample of the last two hours, else minutes, hours."""
        if start >= end - SAMPLES_S:
            return self._samples(guest, check, start, end)
        which, values = "guest = ? AND check_name = ?", (guest, check)
        points = []
        for row in self._parts(start, end, which, values):
            part = read_row(row)
            p50, p95, p99 = (part.latencies.percentile(share) for share in (0.5, 0.95, 0.99))
            points.append(Point(row["at"], part.answers, part.failed, p50, p95, p99))
        return points

    def happenings(
        self,
        *,
        since: float = 0,
        guest: Address | None = None,
        limit: int = 200,
        what: Sequence[What] = (),
    ) -> list[Happening]:
        """What happened, the newest first; only `what`, where that is given."""
        among = f"what IN ({', '.join('?' * len(what))})" if what else "1"
        of, guests = ("1", ()) if guest is None else ("guest = ?", (guest,))
        rows = self._db.execute(
            f"SELECT * FROM happening WHERE {of} AND at >= ? AND {among}"  # noqa: S608 - see above
            " ORDER BY at DESC, rowid DESC LIMIT ?",
            (*guests, since, *what, limit),
        )
        return [
            Happening(row["at"], row["what"], row["guest"], row["text"], row["step"])
            for row in rows
        ]

    def _samples(self, guest: Address, check: str, start: float, end: float) -> list[Point]:
        rows = self._db.execute(
            "SELECT at, health, latency_ms, sample.numbers FROM sample JOIN series ON series = id"
            " WHERE guest = ? AND check_name = ? AND at >= ? AND at < ? ORDER BY at",
            (guest, check, start, end),
        )
        found = []
        for row in rows:
            failed, latency = int(row["health"] == "down"), row["latency_ms"]
            numbers = _numbers(row["numbers"])
            found.append(Point(row["at"], 1, failed, latency, latency, latency, numbers))
        return found

    def _parts(
        self, start: float, end: float, which: str, values: tuple[str, ...]
    ) -> Iterable[sqlite3.Row]:
        """Roll-ups of a window."""
        select = f"SELECT guest, check_name, at, {COLUMNS}"
        for table, begin, until in self._tables(start, end):
            yield from self._db.execute(
                f"{select} FROM {table} JOIN series ON series = id"
                f" WHERE {which} AND at >= ? AND at < ? ORDER BY at",
                (*values, begin, until),
            )

    def _tables(self, start: float, end: float) -> list[tuple[str, float, float]]:
        """Where a window lies: in hours as far as there are no minutes any more, then minutes."""
        (rolled,) = self._db.execute("SELECT until FROM rolled").fetchone()
        border = start if start >= rolled - MINUTES_S else min(max(rolled, start), end)
        return [("hour", start, border), ("minute", border, end)]

    def _whole_hours(self, start: float, end: float) -> list[tuple[str, float, float]]:
        """The same, but of the minutes that are also there as hours only those at its edges."""
        found = []
        for table, begin, until in self._tables(start, end):
            (rolled,) = self._db.execute("SELECT until FROM rolled").fetchone()
            first, last = math.ceil(begin / HOUR_S) * HOUR_S, min(rolled, until // HOUR_S * HOUR_S)
            if table == "minute" and first < last:
                found += [("minute", begin, first), ("hour", first, last), ("minute", last, until)]
            else:
                found.append((table, begin, until))
        return found

    def _sums(
        self, table: str, start: float, end: float, which: str, values: Sequence[str]
    ) -> Iterable[sqlite3.Row]:
        # `CROSS JOIN` takes the series first, each of which lies in one piece of the table.
        return self._db.execute(
            "SELECT guest, SUM(up_s) AS up_s, SUM(down_s) AS down_s, SUM(planned_s) AS planned_s,"  # noqa: S608
            " SUM(answers) AS answers, SUM(failed) AS failed, SUM(slow) AS slow"
            f" FROM series CROSS JOIN {table} ON series = id"
            f" WHERE {which} AND at >= ? AND at < ? GROUP BY guest",
            (*values, start, end),
        )


class Store(Reader):
    """Writes, and reads as well."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._series: dict[Key, int] = {}
        self._open: dict[tuple[int, int], RollUp] = {}
        (newest,) = self._db.execute("SELECT MAX(at) FROM minute").fetchone()
        self._clock = Clock(newest)

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Opens the folder's file, or begins one. Raises `DataUnreadable`."""
        try:
            return cls(database.create(folder))
        except sqlite3.Error as error:
            raise database.unreadable(database.path(folder), error) from error

    def write(
        self,
        answers: Sequence[Answer],
        stretches: Iterable[tuple[Key, Stretch]],
        happened: Iterable[Happening] = (),
    ) -> None:
        """Keeps answers of checks, stretches of series, and what happened, all or nothing."""
        with self._transaction():
            touched: set[tuple[int, int]] = set()
            for answer in answers:
                series = self._id((answer.guest, answer.check), answer.kind)
                touched.add(self._count(series, answer))
            for key, stretch in stretches:
                series = self._id(key)
                for minute, part in minutes(stretch):
                    self._minute(series, minute).add(part)
                    touched.add((series, minute))
            self._db.executemany(
                f"INSERT OR REPLACE INTO minute (series, at, {COLUMNS})"  # noqa: S608
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*key, *as_row(self._open[key])) for key in touched],
            )
            self._db.executemany(
                "INSERT INTO happening VALUES (?, ?, ?, ?, ?)",
                [(each.at, each.what, each.guest, each.text, each.step) for each in happened],
            )
            self._roll_again(touched)

    def thin(self, now: float, moment: float | None = None) -> None:
        """Adds up the hours that are over, and forgets what is too old. For once a minute or so.

        `now` is Unix time; `moment` is of a clock that is never set, this machine's own where it is
        not given. While `now` can't be believed, nothing but samples is forgotten.
        """
        for key in [key for key in self._open if key[1] < now - _KEEP_OPEN_S]:
            del self._open[key]
        until = int((now - _KEEP_OPEN_S) // HOUR_S) * HOUR_S
        with self._transaction():
            (rolled,) = self._db.execute("SELECT until FROM rolled").fetchone()
            if until > rolled:
                self._roll(rolled, until)
            # Where the clock was set back, what comes now is added up once more in its hour.
            self._db.execute("UPDATE rolled SET until = ?", (until,))
            self._db.execute("DELETE FROM sample WHERE at < ?", (now - SAMPLES_S,))
            if self._clock.is_believed(now, moment):
                self._db.execute("DELETE FROM minute WHERE at < ?", (until - MINUTES_S,))
                self._db.execute("DELETE FROM hour WHERE at < ?", (until - HOURS_S,))
                self._db.execute("DELETE FROM happening WHERE at < ?", (now - HOURS_S,))
        self._db.executescript("PRAGMA incremental_vacuum")

    def forget(self, keep: Iterable[Key]) -> None:
        """What checks said last that are no longer watched goes; their past stays."""
        wanted = {self._id(key) for key in keep}
        gone = [
            (series,)
            for (series,) in self._db.execute("SELECT series FROM latest").fetchall()
            if series not in wanted
        ]
        self._db.executemany("DELETE FROM latest WHERE series = ?", gone)

    def _roll_again(self, touched: Iterable[tuple[int, int]]) -> None:
        """Hours that were added up before a part of them was known, as of a check asked seldom."""
        (rolled,) = self._db.execute("SELECT until FROM rolled").fetchone()
        late = {
            (series, minute // HOUR_S * HOUR_S)
            for series, minute in touched
            if rolled - MINUTES_S <= minute < rolled
        }
        for series, hour in late:
            self._roll(hour, hour + HOUR_S, series)

    def _roll(self, start: float, until: float, series: int | None = None) -> None:
        """Adds up hours from their minutes: of all series, or of one."""
        hours: dict[tuple[int, int], RollUp] = {}
        which, values = ("1", ()) if series is None else ("series = ?", (series,))
        rows = self._db.execute(
            f"SELECT series, at, {COLUMNS} FROM minute WHERE {which} AND at >= ? AND at < ?",  # noqa: S608
            (*values, start, until),
        )
        for row in rows:
            hour = (row["series"], int(row["at"] // HOUR_S) * HOUR_S)
            hours.setdefault(hour, RollUp()).merge(read_row(row))
        self._db.executemany(
            f"INSERT OR REPLACE INTO hour (series, at, {COLUMNS})"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*key, *as_row(each)) for key, each in hours.items()],
        )

    def _count(self, series: int, answer: Answer) -> tuple[int, int]:
        numbers = json.dumps(dict(answer.numbers)) if answer.numbers else ""
        self._db.execute(
            "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                series,
                answer.at,
                answer.health,
                answer.message,
                answer.latency_ms,
                answer.slow,
                numbers,
            ),
        )
        self._db.execute(
            "INSERT INTO sample VALUES (?, ?, ?, ?, ?)",
            (series, answer.at, answer.health, answer.latency_ms, numbers),
        )
        minute = int(answer.at // MINUTE_S) * MINUTE_S
        part = self._minute(series, minute)
        # One that failed is a matter of availability; one while it was away on purpose, of nothing.
        part.answers += answer.health in ("up", "down")
        part.failed += answer.health == "down"
        part.slow += answer.slow and answer.health == "up"
        if answer.latency_ms is not None:
            part.latencies.add(answer.latency_ms)
        return series, minute

    def _minute(self, series: int, minute: int) -> RollUp:
        found = self._open.get((series, minute))
        if found is None:
            row = self._db.execute(
                f"SELECT {COLUMNS} FROM minute WHERE series = ? AND at = ?",  # noqa: S608
                (series, minute),
            ).fetchone()
            found = self._open[(series, minute)] = RollUp() if row is None else read_row(row)
        return found

    def _id(self, key: Key, kind: str = "") -> int:
        found = self._series.get(key)
        if found is None:
            self._db.execute(
                "INSERT INTO series (guest, check_name, kind) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET kind = excluded.kind",
                (*key, kind),
            )
            (found,) = self._db.execute(
                "SELECT id FROM series WHERE guest = ? AND check_name = ?", key
            ).fetchone()
            self._series[key] = int(found)
        return int(found)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            # What is in memory may be ahead of the file now.
            self._open.clear()
            self._series.clear()
            raise


def _numbers(text: str) -> dict[str, float]:
    return dict(json.loads(text)) if text else {}
