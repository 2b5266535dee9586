"""Questions are spread, bounded, asked one at a time each, and never piled up."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.watch.schedule import Lateness, Schedule


def made(keys: int, every_s: float, at_once: int = 1000, now: float = 0.0) -> Schedule[int]:
    schedule = Schedule[int](at_once)
    schedule.keep([(key, every_s) for key in range(keys)], now)
    return schedule


def test_a_thousand_questions_are_spread_evenly_over_their_interval() -> None:
    schedule = made(1000, 5.0)
    per_second: Counter[int] = Counter()
    for tenth in range(1, 51):
        for key in schedule.take(tenth / 10):
            per_second[(tenth - 1) // 10] += 1
            schedule.answered(key, tenth / 10)
    assert sum(per_second.values()) == pytest.approx(1000, abs=2)
    assert all(150 < count < 250 for count in per_second.values())
    assert schedule.lateness.worst_s < 0.11


def test_turns_stay_where_they_are_however_long_answers_take() -> None:
    schedule = made(1, 5.0)
    first = schedule.next_s(0.0)
    assert first is not None
    for took in (0.1, 3.0, 4.9, 0.0):
        assert schedule.take(first) == [0]
        schedule.answered(0, first + took)
        assert schedule.next_s(first + took) == pytest.approx(5.0 - took)
        first += 5.0
    assert schedule.lateness.left_out == 0


def test_a_slow_one_is_late_and_never_asked_twice_at_once() -> None:
    schedule = made(1, 5.0)
    first = schedule.next_s(0.0) or 0.0
    assert schedule.take(first) == [0]
    assert schedule.take(first + 60) == []
    schedule.answered(0, first + 12.0)
    assert schedule.lateness.left_out == 2
    assert schedule.next_s(first + 12.0) == pytest.approx(3.0)


def test_a_failing_one_is_asked_again_sooner_and_then_in_its_turn() -> None:
    schedule = made(1, 60.0)
    first = schedule.next_s(0.0) or 0.0
    assert first <= 5.0
    schedule.take(first)
    schedule.answered(0, first, again_s=1.0)
    assert schedule.next_s(first) == pytest.approx(1.0)
    assert schedule.take(first + 1.0) == [0]
    schedule.answered(0, first + 1.0)
    assert (schedule.next_s(first) or 0.0) > 1.5


def test_no_more_than_allowed_are_under_way() -> None:
    schedule = made(10, 1.0, at_once=3)
    taken = schedule.take(1.0)
    assert len(taken) == 3
    assert schedule.next_s(1.0) is None
    schedule.answered(taken[0], 1.0)
    assert schedule.next_s(1.0) == 0.0
    assert len(schedule.take(1.0)) == 1
    assert schedule.under_way == 3


def test_a_dropped_one_is_not_asked_any_more() -> None:
    schedule = made(2, 1.0)
    assert sorted(schedule.take(1.0)) == [0, 1]
    schedule.keep([(1, 1.0)], 1.0)
    schedule.answered(0, 1.0)
    schedule.answered(1, 1.0)
    assert schedule.take(3.0) == [1]
    assert len(schedule) == 1


def test_what_was_broken_off_is_asked_again_in_its_turn() -> None:
    schedule = made(3, 1.0)
    assert len(schedule.take(1.0)) == 3
    schedule.abandon(1.0)
    assert schedule.under_way == 0
    assert len(schedule.take(2.0)) == 3


def test_what_is_brought_forward_is_asked_now_and_once() -> None:
    schedule = made(1, 60.0)
    schedule.at_once(0, 0.0)
    assert schedule.take(0.0) == [0]
    schedule.at_once(0, 0.0)
    assert schedule.take(0.0) == []


def test_a_changed_interval_counts_at_once() -> None:
    schedule = made(1, 60.0)
    schedule.take(5.0)
    schedule.answered(0, 5.0)
    schedule.keep([(0, 1.0)], 5.0)
    assert (schedule.next_s(5.0) or 9.0) <= 1.0


def test_lateness_forgets_what_was_long_ago_but_not_the_worst() -> None:
    lateness = Lateness()
    assert lateness.percentile_s(0.99) is None
    lateness.add(0.0, 9.0)
    for second in range(1, 1000):
        lateness.add(float(second), 0.01)
    assert (lateness.percentile_s(0.99) or 9.0) < 0.012
    assert lateness.worst_s == 9.0


@given(
    st.lists(
        st.tuples(st.floats(0.01, 3.0), st.floats(0.0, 12.0), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_happens_each_is_asked_again_within_its_interval(
    steps: list[tuple[float, float, bool]],
) -> None:
    schedule, now = made(5, 4.0, at_once=3), 0.0
    running: dict[int, float] = {}
    for pause, takes, fails in steps:
        now += pause
        for key in [key for key, end in running.items() if end <= now]:
            del running[key]
            schedule.answered(key, now, again_s=1.0 if fails else None)
        for key in schedule.take(now):
            assert key not in running
            running[key] = now + takes
        assert len(running) <= 3
        assert schedule.under_way == len(running)
        following = schedule.next_s(now)
        assert following is None or 0.0 <= following <= 4.0
        assert following is not None or len(running) == 3


def test_a_bad_moment_is_forgotten_after_a_while() -> None:
    schedule = Schedule[str](1)
    schedule.lately.add(100, 40.0)
    schedule.lateness.add(100, 40.0)
    assert schedule.lately.percentile_s(0.99, 130) == 40.0
    for now in range(130, 160):
        schedule.lately.add(now, 0.0)
    assert schedule.lately.percentile_s(0.99, 162) == pytest.approx(0, abs=0.001)
    assert schedule.lately.percentile_s(0.99, 300) is None
    assert schedule.lateness.percentile_s(0.99) == 40.0
