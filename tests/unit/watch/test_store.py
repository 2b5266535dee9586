"""Measurements are kept, added up and thinned; nothing is counted twice."""

import sqlite3
import time
from pathlib import Path

import pytest

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.store import WHOLE, Reader, Store
from phoenix_hypervisor.watch.time_line import State, Stretch, Totals

WEB, DB = Address("lxc/101"), Address("lxc/102")
HOUR, DAY = 3600, 86400
NOON = 1_790_000_000 // DAY * DAY + DAY // 2


def answer(at: float, health: str = "up", latency_ms: float | None = 10, **more: object) -> Answer:
    return Answer(WEB, "http", "http", at, health, latency_ms=latency_ms, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path)


def up(start: float, end: float) -> tuple[tuple[Address, str], Stretch]:
    return (WEB, WHOLE), Stretch(start, end, State.UP)


def down(start: float, end: float) -> tuple[tuple[Address, str], Stretch]:
    return (WEB, WHOLE), Stretch(start, end, State.DOWN)


def test_what_was_said_last(store: Store, tmp_path: Path) -> None:
    first = answer(NOON, "down", None, message="refused")
    last = answer(NOON + 5, slow=True, numbers={"first_token_ms": 80.0})
    store.write([first], [])
    store.write([last, Answer(DB, "sql", "sql", NOON, "unknown")], [])
    reader = Reader.open(tmp_path)
    assert reader is not None
    assert reader.latest() == [last, Answer(DB, "sql", "sql", NOON, "unknown")]
    store.forget([(DB, "sql")])
    assert [each.guest for each in reader.latest()] == [DB]


def test_windows_of_minutes(store: Store) -> None:
    store.write([], [up(NOON + 30, NOON + 90), down(NOON + 90, NOON + 100)])
    store.write([], [up(NOON + 100, NOON + 130)])
    assert store.totals(WEB, NOON, NOON + 180) == Totals(90, 10)
    assert store.totals(WEB, NOON + 60, NOON + 120) == Totals(50, 10)
    assert store.totals(DB, NOON, NOON + 180) == Totals()
    assert store.rolled(NOON, NOON + 180)[WEB].totals == Totals(90, 10)


def test_a_restart_goes_on_in_the_same_minute(store: Store, tmp_path: Path) -> None:
    store.write([answer(NOON)], [up(NOON, NOON + 10)])
    store.close()
    again = Store.create(tmp_path)
    again.write([answer(NOON + 10)], [up(NOON + 10, NOON + 20)])
    assert again.totals(WEB, NOON, NOON + 60) == Totals(20)
    assert again.rolled(NOON, NOON + 60, "http")[WEB].answers == 2


def test_thinned_to_hours_the_sums_stay(store: Store) -> None:
    begin = NOON - 3 * DAY
    for minute in range(0, 3 * DAY, 60):
        at = begin + minute
        bad = minute % HOUR == 0
        store.write([answer(at, "down" if bad else "up")], [(down if bad else up)(at, at + 60)])
        if minute % HOUR == 0:
            store.thin(at)
    store.thin(NOON)
    whole = store.totals(WEB, begin, NOON)
    assert whole == Totals(3 * DAY - 72 * 60, 72 * 60)
    assert store.rolled(begin, NOON, "http")[WEB].answers == 3 * DAY // 60
    assert store.totals(WEB, NOON - DAY, NOON) == Totals(DAY - 24 * 60, 24 * 60)
    assert store.totals(WEB, NOON - 2 * DAY, NOON - DAY) == Totals(DAY - 24 * 60, 24 * 60)
    assert len(store.plot(WEB, "http", NOON - HOUR, NOON)) == 60
    days = store.plot(WEB, "http", begin, NOON)
    assert sum(point.answers for point in days) == 3 * DAY // 60
    assert sum(point.failed for point in days) == 72
    assert len(days) < 3 * DAY // 60 / 2


def test_plots_show_each_answer_of_the_last_hours(store: Store) -> None:
    store.write([answer(NOON + n, latency_ms=n, numbers={"x": n}) for n in range(1, 4)], [])
    points = store.plot(WEB, "http", NOON, NOON + 60)
    assert [(p.p50_ms, p.p99_ms, p.numbers) for p in points] == [
        (n, n, {"x": n}) for n in (1, 2, 3)
    ]


def test_happenings_newest_first(store: Store) -> None:
    store.write([], [], [Happening(NOON, "down", WEB, "http: refused")])
    store.write([], [], [Happening(NOON + 1, "heal", WEB, "restarting nginx", "service")])
    store.write([], [], [Happening(NOON + 2, "watching", "", "2 guests")])
    assert [each.what for each in store.happenings()] == ["watching", "heal", "down"]
    assert [each.what for each in store.happenings(guest=WEB, limit=1)] == ["heal"]
    assert [each.what for each in store.happenings(since=NOON + 2)] == ["watching"]


def test_one_guest_s_happenings_are_found_in_a_long_record(store: Store, tmp_path: Path) -> None:
    with sqlite3.connect(database.path(tmp_path)) as older:
        older.execute("DROP INDEX happening_guest")
    store.close()
    store = Store.create(tmp_path)
    many = [Happening(NOON + n / 100, "down", DB, "it fell") for n in range(100_000)]
    store.write([], [], [Happening(NOON, "up", WEB, ""), *many])
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._db.set_progress_handler(count, 1000)
    assert len(store.happenings(guest=WEB, what=("up", "gave-up"))) == 1
    assert store.happenings(guest=Address("lxc/103"), limit=1) == []
    assert steps <= 1


def test_a_write_that_fails_leaves_nothing_half(store: Store) -> None:
    store.write([answer(NOON)], [up(NOON, NOON + 5)])
    broken = Happening(NOON, "down", WEB, "text", object())  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        store.write([answer(NOON + 5)], [up(NOON + 5, NOON + 10)], [broken])
    store.write([answer(NOON + 10)], [up(NOON + 10, NOON + 15)])
    assert store.totals(WEB, NOON, NOON + 60) == Totals(10)
    assert store.rolled(NOON, NOON + 60, "http")[WEB].answers == 2


def test_files_that_are_none(tmp_path: Path) -> None:
    assert Reader.open(tmp_path) is None
    Store.create(tmp_path).close()
    file = database.path(tmp_path)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DataUnreadable, match="newer phoenix"):
        Store.create(tmp_path)
    for left in file.parent.glob(f"{file.name}-*"):
        left.unlink()
    file.write_bytes(b"no database at all" * 100)
    for opening in (Store.create, Reader.open):
        with pytest.raises(DataUnreadable, match="can't be used"):
            opening(tmp_path)
    assert file.stat().st_mode & 0o077 == 0


def test_two_thousand_checks_fit_into_a_second(store: Store) -> None:
    """At 5 s intervals there are 400 answers a second to be kept."""
    guests = [Address(f"lxc/{n}") for n in range(1000, 1400)]
    begin, process = time.perf_counter(), time.process_time()
    for second in range(5):
        at = NOON + second
        store.write(
            [Answer(guest, "tcp", "tcp", at, "up", latency_ms=1.0) for guest in guests],
            [((guest, "tcp"), Stretch(at, at + 1, State.UP)) for guest in guests],
        )
    assert time.process_time() - process < 1.5, time.perf_counter() - begin


def test_summed_is_as_rolled_over_minutes_and_hours(store: Store) -> None:
    begin = NOON - 2 * DAY
    for at in range(begin, NOON, 300):
        checks = [answer(at), answer(at + 1, "down", None), answer(at + 2, slow=True)]
        store.write(checks, [up(at, at + 200), down(at + 200, at + 240)])
        if at % HOUR == 0:
            store.thin(at)
    store.thin(NOON)
    for start in (begin, NOON - DAY, NOON - DAY + 901, NOON - HOUR, NOON - 61, NOON):
        [found] = store.summed(start, NOON, [WEB, DB]).values() or [None]
        whole, check = store.rolled(start, NOON), store.rolled(start, NOON, "http")
        if found is None:
            assert not whole
            continue
        assert found.totals == whole[WEB].totals
        counts = (found.answers, found.failed, found.slow)
        assert counts == (check[WEB].answers, check[WEB].failed, check[WEB].slow)
    assert store.summed(begin, NOON, [WEB])[WEB].answers == 2 * DAY // 300 * 3
    assert store.summed(begin, NOON, [DB])[WEB].answers == 0
