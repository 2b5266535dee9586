"""Answers become time: gaps, jumps of the clock, and no second counted twice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.watch.time_line import State, Stretch, TimeLine, Totals, totals

UP, DOWN, PLANNED = State.UP, State.DOWN, State.PLANNED


def told(*answers: tuple[float, State], hold_s: float = 10, end: float | None = None) -> Totals:
    line = TimeLine(hold_s)
    found = [line.say(at, state) for at, state in answers]
    if end is not None:
        found.append(line.close(end))
    return totals([each for each in found if each], 0, 1e9)


def test_an_answer_holds_until_the_next() -> None:
    assert told((0, UP), (5, UP), (10, DOWN), (15, UP), end=20) == Totals(15, 5, 0)
    assert told((0, UP), (5, PLANNED), (10, UP), end=12) == Totals(7, 0, 5)


def test_a_gap_is_unknown() -> None:
    assert told((0, UP), (100, UP), end=105) == Totals(up_s=15)
    assert told((0, DOWN), (100, UP), end=200) == Totals(up_s=10, down_s=10)


def test_a_clock_that_is_set_forward_adds_nothing() -> None:
    assert told((0, UP), (5, UP), (5000, UP), (5005, UP), end=5010) == Totals(up_s=25)


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    answers = [(100, UP), (105, UP), (110, UP), (52, DOWN), (57, DOWN), (108, DOWN), (113, UP)]
    # Up from 100 to 110; then the time from 110 on, which is down until 113.
    assert told(*answers, end=118) == Totals(up_s=15, down_s=3)


def test_a_clock_that_was_a_day_ahead_leaves_no_day_uncounted() -> None:
    day = 86400
    answers = [(100, UP), (day, UP), (day + 5, UP), (110, DOWN), (115, DOWN), (120, UP)]
    # Up from 100 for 10 s, then a jump; up for 5 s in a time that has not come; down from 110 on.
    assert told(*answers, end=125) == Totals(up_s=20, down_s=10)


def test_a_closed_line_goes_on_later() -> None:
    line = TimeLine(10)
    assert line.say(0, UP) is None
    assert line.close(4) == Stretch(0, 4, UP)
    assert line.close(8) is None
    assert line.say(20, DOWN) is None
    assert line.close(21) == Stretch(20, 21, DOWN)


def test_windows_clip() -> None:
    parts = [Stretch(0, 10, UP), Stretch(10, 20, DOWN), Stretch(30, 40, PLANNED)]
    assert totals(parts, 5, 35) == Totals(5, 10, 5)
    assert totals(parts, 50, 60) == Totals()
    assert totals(parts, 5, 35).availability == pytest.approx(1 / 3)
    assert totals(parts, 25, 40).availability is None


@given(
    st.lists(st.tuples(st.floats(0, 3600), st.sampled_from(State)), max_size=40),
    st.floats(0.5, 100),
)
def test_stretches_never_overlap_nor_outlast(
    answers: list[tuple[float, State]], hold_s: float
) -> None:
    line = TimeLine(hold_s)
    parts = [each for at, state in answers if (each := line.say(at, state))]
    for before, after in itertools.pairwise(parts):
        assert before.end <= after.start
    for each in parts:
        assert 0 < each.end - each.start <= hold_s + 1e-6
    whole = totals(parts, 0, 3600 + hold_s)
    halves = totals(parts, 0, 1800) + totals(parts, 1800, 3600 + hold_s)
    assert (whole.up_s, whole.down_s, whole.planned_s) == pytest.approx(
        (halves.up_s, halves.down_s, halves.planned_s), abs=1e-6
    )


@given(st.lists(st.floats(0.1, 9.9), min_size=1, max_size=50), st.data())
def test_watched_without_a_gap_all_time_is_known(pauses: list[float], data: st.DataObject) -> None:
    at, answers = 0.0, []
    for pause in pauses:
        answers.append((at, data.draw(st.sampled_from([UP, DOWN]))))
        at += pause
    assert told(*answers, end=at).known_s == pytest.approx(at)
