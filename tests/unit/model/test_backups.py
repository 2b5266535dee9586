"""Which backups are kept: as Proxmox VE's rules have it, one after the other."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.model.host.backups import Keep, dropped

START = datetime(2026, 1, 31, 2, 30, tzinfo=UTC)  # a Saturday


def every(step: timedelta, count: int) -> list[datetime]:
    return [START - step * number for number in range(count)]


def kept(times: list[datetime], keep: Keep) -> list[str]:
    gone = dropped(times, lambda one: one, keep)
    return [f"{one:%m-%d %H}" for one in sorted(times, reverse=True) if one not in gone]


def test_nothing_goes_where_nothing_is_said() -> None:
    times = every(timedelta(hours=1), 50)
    assert dropped(times, lambda one: one, Keep()) == []
    assert dropped(times, lambda one: one, Keep(last=0, daily=0)) == []


def test_the_newest_stay_and_the_oldest_go_first() -> None:
    times = every(timedelta(days=1), 5)
    gone = dropped(times, lambda one: one, Keep(last=2))
    assert gone == sorted(times)[:3]


def test_of_each_day_the_newest_that_no_other_rule_keeps() -> None:
    times = every(timedelta(hours=12), 8)
    assert kept(times, Keep(daily=2)) == ["01-31 02", "01-30 14"]
    # `last` covers the newest day, so that the days begin before it.
    assert kept(times, Keep(last=1, daily=2)) == ["01-31 02", "01-30 14", "01-29 14"]


def test_longer_spans_begin_where_shorter_ones_end() -> None:
    times = every(timedelta(days=1), 60)
    assert kept(times, Keep(daily=2, weekly=2, monthly=1)) == [
        "01-31 02",
        "01-30 02",
        "01-25 02",  # the Sundays before this week
        "01-18 02",
        "12-31 02",
    ]


@pytest.mark.parametrize("name", ["last", "hourly", "daily", "weekly", "monthly", "yearly"])
@given(data=st.data())
def test_as_many_stay_as_are_asked_for(name: str, data: st.DataObject) -> None:
    hours = data.draw(st.lists(st.integers(0, 30_000), unique=True, max_size=40))
    count = data.draw(st.integers(1, 12))
    times = [START - timedelta(hours=one) for one in hours]
    gone = dropped(times, lambda one: one, Keep(**{name: count}))
    assert len(times) - len(gone) <= count
    if times:
        assert max(times) not in gone
