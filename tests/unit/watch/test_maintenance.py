"""Maintenance windows, against times that were computed by hand."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.model.address import lxc, vm
from phoenix_hypervisor.model.watch import Maintenance, Once, Weekly
from phoenix_hypervisor.watch.maintenance import Calendar

SUNDAY = (6,)
WEB, VM = lxc(101), vm(201)
BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    """Unix time of a moment with its offset."""
    return datetime.fromisoformat(text).timestamp()


def holds(when: Once | Weekly, moment: str) -> bool:
    return Calendar([Maintenance(when)]).planned(at(moment), WEB) is not None


def test_once_from_its_first_second_until_before_its_last() -> None:
    when = Once(at("2026-12-01T22:00Z"), at("2026-12-02T02:00Z"))
    assert not holds(when, "2026-12-01T21:59:59.9Z")
    assert holds(when, "2026-12-01T22:00Z")
    assert holds(when, "2026-12-02T01:59:59.9Z")
    assert not holds(when, "2026-12-02T02:00Z")


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-22T01:59:59+01:00", False),  # a Sunday
        ("2026-11-22T02:00:00+01:00", True),
        ("2026-11-22T02:59:59+01:00", True),
        ("2026-11-22T03:00:00+01:00", False),
        ("2026-11-22T02:30:00Z", False),  # 03:30 in Berlin
        ("2026-11-23T02:30:00+01:00", False),  # Monday
        ("2026-07-05T02:30:00+02:00", True),  # in summer as well, by the clock on the wall
        ("2026-07-05T02:30:00+01:00", False),
    ],
)
def test_each_week_by_the_clock_of_the_zone(moment: str, inside: bool) -> None:
    assert holds(Weekly(SUNDAY, 2, 0, 60, BERLIN), moment) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-22T23:29:59Z", False),
        ("2026-11-22T23:30:00Z", True),
        ("2026-11-23T00:00:00Z", True),  # Monday by now
        ("2026-11-23T01:29:59Z", True),
        ("2026-11-23T01:30:00Z", False),
    ],
)
def test_over_midnight_and_the_end_of_the_week(moment: str, inside: bool) -> None:
    assert holds(Weekly(SUNDAY, 23, 30, 120, "UTC"), moment) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        # 2026-03-29: at 02:00 the clock is set to 03:00, so that 02:30 never comes.
        ("2026-03-29T00:30:00Z", False),
        ("2026-03-29T01:29:59Z", False),
        ("2026-03-29T01:30:00Z", True),  # 03:30 on the wall
        ("2026-03-29T02:29:59Z", True),
        ("2026-03-29T02:30:00Z", False),
        # 2026-10-25: at 03:00 the clock is set to 02:00, so that 02:30 comes twice.
        ("2026-10-25T00:29:59Z", False),
        ("2026-10-25T00:30:00Z", True),  # the first 02:30
        ("2026-10-25T01:29:59Z", True),  # 02:29:59, the second time
        ("2026-10-25T01:30:00Z", False),  # the second 02:30: it is over
    ],
)
def test_when_the_clock_is_set(moment: str, inside: bool) -> None:
    assert holds(Weekly(SUNDAY, 2, 30, 60, BERLIN), moment) is inside


def test_a_window_over_the_setting_of_the_clock_is_as_long_as_ever() -> None:
    when = Weekly((5,), 23, 0, 6 * 60, BERLIN)  # Saturday, 28 March 2026, 22:00 UTC
    assert holds(when, "2026-03-29T03:59:59Z")
    assert not holds(when, "2026-03-29T04:00:00Z")


def test_a_whole_week_has_no_gap() -> None:
    when = Weekly(SUNDAY, 2, 0, 7 * 24 * 60, "UTC")
    assert all(holds(when, f"2026-11-{day:02}T01:59:59Z") for day in range(1, 30))


def test_only_its_guests_and_the_first_reason() -> None:
    now = at("2026-11-22T12:00Z")
    long = Once(now - 10, now + 10)
    calendar = Calendar(
        [
            Maintenance(Once(0, 1), None, "long ago"),
            Maintenance(long, (WEB,), "patches"),
            Maintenance(long, (WEB, VM)),
        ]
    )
    assert calendar.planned(now, WEB) == "maintenance: patches"
    assert calendar.planned(now, VM) == "maintenance"
    assert calendar.planned(now, lxc(102)) is None
    assert Calendar([]).planned(now, WEB) is None


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - of any zone
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 23),
    st.integers(1, 24 * 60),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_it_is_as_a_walk_through_the_days_says(
    day: datetime, days: set[int], hour: int, minutes: int, name: str
) -> None:
    zone = ZoneInfo(name)
    now = day.replace(tzinfo=zone).timestamp()
    found = False
    walk = (day - timedelta(days=3)).date()
    for _ in range(6):
        if walk.weekday() in days:
            start = datetime(walk.year, walk.month, walk.day, hour, tzinfo=zone).timestamp()
            found = found or start <= now < start + minutes * 60
        walk += timedelta(days=1)
    when = Weekly(tuple(days), hour, 0, minutes, name)
    assert (Calendar([Maintenance(when)]).planned(now, WEB) is not None) is found
