"""What is kept outlasts pauses of watching, and clocks that are wrong for a while."""

from pathlib import Path

import pytest

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.clock import Clock
from phoenix_hypervisor.watch.store import WHOLE, Key, Store
from phoenix_hypervisor.watch.time_line import State, Stretch, Totals

WEB = Address("lxc/101")
HOUR, DAY = 3600, 86400
NOON = 1_790_000_000 // DAY * DAY + DAY // 2
Known = tuple[Key, Stretch]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path)


def up(start: float, end: float, check: str = WHOLE) -> Known:
    return (WEB, check), Stretch(start, end, State.UP)


def down(start: float, end: float) -> Known:
    return (WEB, WHOLE), Stretch(start, end, State.DOWN)


def test_a_pause_of_days_loses_nothing_of_what_was_seen_before(store: Store) -> None:
    store.write([], [down(NOON, NOON + 1.5 * HOUR)])
    store.thin(NOON + 1.5 * HOUR, 0)
    later = NOON + 50 * HOUR
    store.write([], [up(later - 10, later)])
    store.thin(later, 100)
    store.thin(later + 2 * DAY, 2 * DAY)
    assert store.totals(WEB, NOON, later) == Totals(10, 1.5 * HOUR)


def test_a_clock_that_was_a_day_ahead_for_a_moment_costs_nothing(store: Store) -> None:
    begin = NOON + HOUR // 4
    store.write([], [up(NOON, begin)])
    store.thin(begin, 0)
    store.thin(begin + DAY, 60)
    for hour in range(60):
        at = begin + hour * HOUR
        store.write([], [(down if hour < 20 else up)(at, at + HOUR)])
        store.thin(at + HOUR, 120 + (hour + 1) * HOUR)
        for window in (DAY, 7 * DAY):
            seen = store.summed(at + HOUR - window, at + HOUR)[WEB]
            assert seen.totals == store.totals(WEB, at + HOUR - window, at + HOUR)
            if window == 7 * DAY:
                assert seen.down_s == min(hour + 1, 20) * HOUR
    assert seen.up_s == 40 * HOUR + HOUR // 4


def test_a_clock_that_is_years_ahead_for_a_while_has_nothing_forgotten(store: Store) -> None:
    for day in range(10):
        at = NOON + day * DAY
        store.write([], [up(at, at + HOUR)], [Happening(at, "down", WEB, "it fell")])
        store.thin(at + 2 * HOUR, day * DAY)
    end, years = NOON + 10 * DAY, 2 * 365 * DAY
    store.write([], [up(end + years, end + years + 60)])
    for minute in range(23 * 60):
        store.thin(end + years + 60 * minute, 10 * DAY + 60 * minute)
    store.thin(end + DAY, 11 * DAY)
    assert store.totals(WEB, NOON, end) == Totals(10 * HOUR)
    assert len(store.happenings()) == 10


def test_what_is_too_old_goes_once_the_clock_is_believed(store: Store) -> None:
    store.write([], [up(NOON, NOON + HOUR)], [Happening(NOON, "down", WEB, "it fell")])
    store.thin(NOON + 2 * HOUR, 0)
    later = NOON + 2 * 365 * DAY
    for hour in range(26):
        store.thin(later + hour * HOUR, 2 * 365 * DAY + hour * HOUR)
    assert store.totals(WEB, 0, later) == Totals()
    assert store.happenings() == []


def test_what_is_known_late_is_added_to_its_hour(store: Store) -> None:
    store.write([], [up(NOON + 0.5 * HOUR, NOON + 0.6 * HOUR, "seldom")])
    store.thin(NOON + 1.1 * HOUR, 0)
    store.write([], [up(NOON + 0.6 * HOUR, NOON + 1.5 * HOUR, "seldom")])
    store.thin(NOON + 2.2 * HOUR, 1.1 * HOUR)
    store.thin(NOON + 40 * HOUR, 39 * HOUR)
    assert store.rolled(NOON, NOON + 40 * HOUR, "seldom")[WEB].up_s == pytest.approx(HOUR)


@pytest.mark.parametrize(
    ("newest", "asked", "believed"),
    [
        (None, [(NOON, 0)], [True]),
        (NOON, [(NOON + HOUR, 0)], [True]),
        (NOON, [(NOON + 2 * DAY, 0), (NOON + 3 * DAY, DAY)], [False, True]),
        (NOON, [(0, 0), (NOON, 60), (NOON + DAY, 60 + DAY)], [True, False, True]),
        (None, [(NOON, 0), (NOON + 2 * HOUR, 60), (NOON + 120, 120)], [True, False, True]),
        (None, [(NOON, 0), (NOON + HOUR, HOUR), (NOON + HOUR - 60, HOUR + 60)], [True] * 3),
    ],
)
def test_a_clock_that_jumps_is_doubted_for_a_day(
    newest: float | None, asked: list[tuple[float, float]], believed: list[bool]
) -> None:
    clock = Clock(newest)
    assert [clock.is_believed(now, moment) for now, moment in asked] == believed
