"""A guest's health follows from its checks and its state, and no second is told twice."""

from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.observed import GuestState
from phoenix_hypervisor.model.watching import Answer
from phoenix_hypervisor.watch.judge import NOT_MADE, UNANSWERED, Judge, Said
from phoenix_hypervisor.watch.time_line import Stretch, Totals, totals

WEB = Address("lxc/101")
Source = Literal["outside", "inside"]


class Case:
    """One guest that runs, with its checks; collects the time that becomes known."""

    def __init__(self, **checks: Source) -> None:
        self.judge = Judge(hold_s=25.0)
        self.judge.keep(checks)
        self.known: list[Stretch] = []
        self.saw("running", 0.0)

    def saw(self, state: GuestState, at: float, hindered: str = "") -> None:
        self.known += self.judge.saw(state, at, hindered)

    def says(self, check: str, said: Said, at: float, *, asked: float | None = None) -> None:
        answer = Answer(WEB, check, "http", at, said, message="refused")
        self.known += self.judge.answered(answer, said, at if asked is None else asked)

    def totals(self, end: float) -> Totals:
        return totals([*self.known, *self.judge.close(end)], 0.0, 1e9)


def health(case: Case) -> str:
    return case.judge.health


def test_it_is_up_once_all_checks_have_passed() -> None:
    case = Case(a="outside", b="outside")
    assert health(case) == "unknown"
    case.says("a", "up", 1.0)
    assert health(case) == "unknown"
    case.says("b", "up", 2.0)
    assert (health(case), case.judge.since, case.judge.why) == ("up", 2.0, "")
    assert case.totals(5.0) == Totals(up_s=3.0)


def test_one_that_was_never_made_is_not_down_and_one_that_vanished_is() -> None:
    judge = Judge(hold_s=25.0, made=False)
    assert judge.saw("absent", 0.0) + judge.saw("absent", 10.0) == []
    assert (judge.health, judge.why) == ("unknown", NOT_MADE)
    judge.saw("running", 20.0)
    assert judge.health == "up"
    judge.saw("absent", 30.0)
    assert (judge.health, judge.why) == ("down", "it is absent")


def test_one_that_is_paused_is_not_told_as_stopped() -> None:
    case = Case(a="outside")
    case.says("a", "up", 1.0)
    case.judge.saw("stopped", 2.0, paused=True)
    assert (health(case), case.judge.why) == ("down", "it is paused")
    case.judge.saw("stopped", 3.0)
    assert case.judge.why == "it is stopped"


def test_why_it_is_down_is_not_that_it_was_stopped_once_it_runs() -> None:
    case = Case(a="outside")
    case.says("a", "up", 1.0)
    case.saw("stopped", 2.0)
    case.saw("running", 3.0)
    assert (health(case), case.judge.why) == ("down", UNANSWERED)
    case.says("a", "down", 4.0)
    case.says("a", "down", 5.0)
    assert (health(case), case.judge.why) == ("down", "a: refused")


def test_one_failure_is_doubted_and_the_second_counts_from_the_first() -> None:
    case = Case(a="outside", b="outside")
    case.says("a", "up", 0.0)
    case.says("b", "up", 0.0)
    case.says("a", "down", 5.0, asked=4.0)
    case.says("b", "up", 5.2)
    assert health(case) == "up"
    case.says("a", "down", 6.0)
    assert (health(case), case.judge.since) == ("down", 4.0)
    assert case.judge.why == "a: refused"
    case.says("a", "up", 9.0)
    assert health(case) == "up"
    assert case.totals(10.0) == Totals(up_s=5.0, down_s=5.0)


def test_a_failure_that_goes_by_itself_is_no_downtime() -> None:
    case = Case(a="outside")
    for at, said in ((0.0, "up"), (5.0, "down"), (5.5, "up"), (10.0, "up")):
        case.says("a", "up" if said == "up" else "down", at)
        assert health(case) == "up"
    assert case.totals(10.0) == Totals(up_s=10.0)


def test_it_is_down_as_long_as_one_check_fails_however_long() -> None:
    case = Case(a="outside", b="outside")
    case.says("a", "up", 0.0)
    case.says("b", "up", 0.0)
    for at in range(1, 201):
        case.says("a", "down", float(at))
        case.says("b", "up", at + 0.5)
    assert health(case) == "down"
    assert case.totals(201.0) == Totals(up_s=1.0, down_s=200.0)


def test_a_stopped_guest_is_down_at_once_and_up_when_its_checks_pass_again() -> None:
    case = Case(a="outside")
    case.says("a", "up", 0.0)
    case.saw("stopped", 3.0)
    assert (health(case), case.judge.why) == ("down", "it is stopped")
    case.saw("running", 5.0)
    assert health(case) == "down"
    case.says("a", "up", 6.0)
    assert case.totals(7.0) == Totals(up_s=4.0, down_s=3.0)


def test_time_away_on_purpose_is_counted_apart_and_up_is_up_all_the_same() -> None:
    case = Case(a="outside")
    case.says("a", "up", 0.0)
    case.judge.planned = "an apply"
    case.says("a", "up", 2.0)
    assert health(case) == "up"
    case.saw("stopped", 4.0)
    assert (health(case), case.judge.why) == ("planned", "an apply")
    case.judge.planned = ""
    case.saw("stopped", 10.0)
    assert (health(case), case.judge.since) == ("down", 10.0)
    assert case.totals(12.0) == Totals(up_s=4.0, down_s=2.0, planned_s=6.0)


def test_planned_time_that_ends_in_failing_checks_was_planned_to_its_end() -> None:
    case = Case(a="outside")
    case.judge.planned = "an apply"
    case.says("a", "down", 1.0)
    case.says("a", "down", 2.0)
    case.judge.planned = ""
    case.says("a", "down", 8.0)
    assert case.judge.since == 8.0
    assert case.totals(9.0) == Totals(down_s=1.0, planned_s=7.0)


def test_without_the_hypervisor_only_what_is_seen_from_outside_counts() -> None:
    case = Case(a="outside", b="inside")
    case.says("a", "up", 0.0)
    case.says("b", "up", 0.0)
    case.says("b", "unknown", 2.0)
    case.saw("unknown", 3.0, "Incus does not answer")
    assert health(case) == "up"
    case.says("a", "down", 4.0)
    case.says("a", "down", 5.0)
    assert health(case) == "down"


def test_where_nothing_can_be_asked_nothing_is_known() -> None:
    case = Case(b="inside")
    case.says("b", "up", 0.0)
    case.saw("unknown", 3.0, "Incus does not answer")
    assert (health(case), case.judge.why) == ("unknown", "Incus does not answer")
    case.saw("unknown", 20.0, "Incus does not answer")
    case.saw("running", 30.0)
    assert health(case) == "unknown"  # nobody has asked since
    case.says("b", "up", 31.0)
    assert case.totals(32.0) == Totals(up_s=4.0)


@pytest.mark.parametrize("said", ["up", "down"])
def test_what_was_said_inside_before_the_hypervisor_was_lost_is_out_of_date(said: Said) -> None:
    case = Case(b="inside")
    case.says("b", said, 0.0)
    case.says("b", said, 1.0)
    case.saw("unknown", 3.0, "Incus does not answer")
    case.says("b", "up", 4.0)  # was on its way
    case.saw("running", 7200.0)
    assert health(case) == "unknown"
    case.says("b", "up", 7201.0)
    assert health(case) == "up"


def test_a_state_that_the_hypervisor_does_not_tell_is_unknown() -> None:
    case = Case(b="inside")
    case.says("b", "up", 0.0)
    for at in range(5, 3600, 5):
        case.saw("unknown", float(at))
    assert (health(case), case.judge.why) == (
        "unknown",
        "the hypervisor does not tell whether it runs",
    )
    assert case.totals(3600.0) == Totals(up_s=5.0)


def test_a_clock_that_is_set_back_leaves_no_moment_ahead() -> None:
    case = Case(a="outside")
    case.says("a", "down", 7000.0)
    case.says("a", "down", 7001.0)
    assert (health(case), case.judge.since) == ("down", 7000.0)
    case.says("a", "down", 10.0)
    assert (health(case), case.judge.since) == ("down", 10.0)


def test_a_check_that_breaks_by_itself_makes_nobody_down() -> None:
    case = Case(a="outside", b="outside")
    case.says("a", "unknown", 1.0)
    case.says("b", "up", 2.0)
    assert health(case) == "up"
    alone = Case(a="outside")
    alone.says("a", "unknown", 1.0)
    assert (alone.judge.health, alone.judge.why) == ("unknown", "refused")


def test_without_checks_it_is_as_the_hypervisor_says() -> None:
    case = Case()
    assert health(case) == "up"
    case.saw("absent", 5.0)
    assert health(case) == "down"


def test_what_is_no_longer_asked_counts_no_longer() -> None:
    case = Case(a="outside", b="outside")
    case.says("a", "down", 1.0)
    case.says("a", "down", 2.0)
    case.judge.keep({"b": "outside"})
    case.says("a", "down", 3.0)
    case.says("b", "up", 3.0)
    assert health(case) == "up"
    assert [answer.check for answer in case.judge.answers] == ["b"]


STEP = st.tuples(
    st.floats(0.0, 30.0),
    st.sampled_from(["a", "b", "running", "stopped", "lost", "planned", "unplanned"]),
    st.sampled_from(["up", "down", "unknown"]),
)


@given(st.lists(STEP, max_size=60))
def test_no_second_is_counted_twice_and_since_is_never_ahead(
    steps: list[tuple[float, str, Said]],
) -> None:
    case, now = Case(a="outside", b="inside"), 0.0
    for pause, what, said in steps:
        now += pause
        if what in ("a", "b"):
            case.says(what, said, now, asked=now - min(pause, 1.0))
        elif what == "running":
            case.saw("running", now)
        elif what == "stopped":
            case.saw("stopped", now)
        elif what == "lost":
            case.saw("unknown", now, "lost")
        else:
            case.judge.planned = "work" if what == "planned" else ""
        assert case.judge.since <= now
        assert (case.judge.why == "") == (health(case) == "up")
    found = case.totals(now)
    assert found.up_s + found.down_s + found.planned_s <= now + 1e-6
    edges = sorted((each.start, each.end) for each in case.known)
    assert all(left[1] <= right[0] for left, right in pairwise(edges))


@pytest.mark.parametrize("failing", [1, 3, 5])
def test_the_reason_stays_short(failing: int) -> None:
    names: dict[str, Source] = {f"c{number}": "outside" for number in range(failing)}
    case = Case(**names)
    for at in (1.0, 2.0):
        for name in names:
            case.says(name, "down", at)
    assert case.judge.why.count("refused") == min(failing, 3)
    assert case.judge.why.endswith("2 more") == (failing == 5)
