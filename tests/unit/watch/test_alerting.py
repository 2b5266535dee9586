"""What is told: once, put together, reminded of, and ended. Times were computed by hand."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.model.watch import Severity
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.alerting import (
    Alerting,
    Change,
    Condition,
    concerns,
    lasted,
    message,
)

NOW = 1_800_000_000.0


def down(ident: int = 101, since: float = NOW, *, sure: bool = True, **more: object) -> Condition:
    address, severity = f"lxc/{ident}", more.pop("severity", "page")
    text = str(more.pop("text", f"{address} is down"))
    return Condition(f"down {address}", severity, address, since, text, sure)  # type: ignore[arg-type]


def alerting(group_s: float = 10, remind_s: float = 14400) -> Alerting:
    return Alerting(group_s=group_s, remind_s=remind_s)


def kinds(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(one.kind, one.condition.guest) for one in changes]


def test_told_once_after_the_group_is_complete_and_ended_with_how_long_it_took() -> None:
    alerts = alerting()
    assert alerts.update([down()], NOW + 30) == []
    assert alerts.update([down()], NOW + 39) == []
    [told] = alerts.update([down()], NOW + 40)
    assert told.line == "page: lxc/101 is down (for 40 s)"
    assert all(alerts.update([down()], NOW + 41 + second) == [] for second in range(1000))
    assert alerts.update([], NOW + 1100) == []
    [over] = alerts.update([], NOW + 1110)
    assert over.line == "resolved after 18 min: lxc/101 is down"
    assert alerts.update([], NOW + 1111) == []


def test_what_the_message_waits_for_is_no_downtime() -> None:
    alerts = alerting()
    alerts.update([down()], NOW + 10)
    alerts.update([down()], NOW + 20)
    alerts.update([], NOW + 28)
    [over] = alerts.update([], NOW + 38)
    assert over.line == "resolved after 28 s: lxc/101 is down"


def test_what_changes_within_the_time_is_told_together() -> None:
    alerts = alerting()
    alerts.update([down(101)], NOW)
    alerts.update([down(101), down(102)], NOW + 4)
    told = alerts.update([down(101), down(102), down(103)], NOW + 10)
    assert kinds(told) == [("new", "lxc/101"), ("new", "lxc/102"), ("new", "lxc/103")]
    alerts.update([down(102), down(103)], NOW + 100)
    told = alerts.update([down(103), down(104)], NOW + 110)
    assert kinds(told) == [("resolved", "lxc/101"), ("resolved", "lxc/102"), ("new", "lxc/104")]


def test_what_is_over_before_anybody_was_told_is_never_told() -> None:
    alerts = alerting()
    alerts.update([down()], NOW)
    assert alerts.update([], NOW + 5) == []
    assert alerts.update([], NOW + 100) == []
    assert alerts.update([down()], NOW + 101) == []  # its own ten seconds begin


def test_one_that_comes_back_at_once_was_not_over() -> None:
    alerts = alerting()
    alerts.update([down()], NOW)
    alerts.update([down()], NOW + 10)
    alerts.update([], NOW + 20)
    assert alerts.update([down(since=NOW + 25)], NOW + 25) == []
    assert alerts.update([down(since=NOW + 25)], NOW + 60) == []
    alerts.update([], NOW + 70)
    [over] = alerts.update([], NOW + 80)
    assert over.line.startswith("resolved after 70 s")


def test_what_is_not_sure_begins_nothing_and_ends_nothing() -> None:
    alerts = alerting()
    assert alerts.update([down(sure=False)], NOW) == []
    assert alerts.update([down(sure=False)], NOW + 100) == []
    alerts.update([down()], NOW + 200)
    alerts.update([down(sure=False)], NOW + 205)  # a maintenance begins
    assert alerts.update([down(sure=False)], NOW + 215) == []
    alerts.update([down()], NOW + 300)
    assert kinds(alerts.update([down()], NOW + 310)) == [("new", "lxc/101")]
    assert alerts.update([down(sure=False)], NOW + 400) == []
    assert alerts.update([down(sure=False)], NOW + 500) == []
    alerts.update([], NOW + 600)
    assert kinds(alerts.update([], NOW + 610)) == [("resolved", "lxc/101")]


def test_reminders_as_long_as_it_is_sure() -> None:
    alerts = alerting(group_s=0, remind_s=3600)
    assert kinds(alerts.update([down()], NOW)) == [("new", "lxc/101")]
    assert alerts.update([down()], NOW + 3599) == []
    [still] = alerts.update([down()], NOW + 3600)
    assert still.line == "still: lxc/101 is down (for 60 min)"
    assert alerts.update([down(sure=False)], NOW + 7300) == []
    assert kinds(alerts.update([down()], NOW + 7400)) == [("still", "lxc/101")]


def test_what_gets_worse_is_told_again_and_what_gets_better_is_not() -> None:
    alerts = alerting(group_s=0)
    ticket, page = down(severity="ticket"), down(severity="page")
    assert kinds(alerts.update([ticket], NOW)) == [("new", "lxc/101")]
    [worse] = alerts.update([page], NOW + 60)
    assert worse.line == "now a page: lxc/101 is down (for 60 s)"
    assert alerts.update([ticket], NOW + 70) == []
    assert alerts.update([page], NOW + 80) == []
    [over] = alerts.update([], NOW + 90)
    assert over.severity == "page"


def test_worse_and_better_again_within_the_time_is_nothing() -> None:
    alerts = alerting()
    ticket, page = down(severity="ticket"), down(severity="page")
    alerts.update([ticket], NOW)
    alerts.update([ticket], NOW + 10)
    alerts.update([page], NOW + 20)
    alerts.update([ticket], NOW + 25)
    assert alerts.update([ticket], NOW + 100) == []


def test_a_clock_that_is_set_back_holds_nothing_back() -> None:
    alerts = alerting()
    alerts.update([down()], NOW)
    assert kinds(alerts.update([down()], NOW - 86400)) == [("new", "lxc/101")]


def test_a_watcher_that_starts_anew_tells_nothing_twice() -> None:
    first = alerting(group_s=0)
    kept: list[Happening] = []
    steps = [
        (NOW, [down(101), down(102, severity="ticket")]),
        (NOW + 50, [down(102, severity="ticket")]),
        (NOW + 14400, [down(102, severity="ticket")]),
    ]
    for at, conditions in steps:
        kept += [change.happening for change in first.update(conditions, at)]
    assert [one.what for one in kept] == ["alert", "alert", "resolved", "alert"]

    again = alerting(group_s=0)
    again.restore(reversed(kept))
    assert [one.key for one in again.active] == ["down lxc/102"]
    later = NOW + 14460
    assert again.update([down(102, sure=False)], later) == []  # nothing is known of it yet
    assert again.update([down(102, since=later, severity="ticket")], later + 60) == []
    [over] = again.update([], later + 120)
    assert (over.kind, over.condition.since) == ("resolved", NOW)


def test_other_happenings_are_no_alerts() -> None:
    alerts = alerting(group_s=0)
    alerts.restore([Happening(NOW, "alert", "", "?", "service"), Happening(NOW, "down", "", "x")])
    assert alerts.active == []


@pytest.mark.parametrize(
    ("severity", "least", "told"),
    [
        ("page", "page", True),
        ("page", "ticket", True),
        ("ticket", "ticket", True),
        ("ticket", "page", False),
    ],
)
def test_who_is_concerned(severity: Severity, least: Severity, told: bool) -> None:
    assert concerns(Change("new", down(), severity, NOW), least) is told


def test_a_message_of_one() -> None:
    new = Change("new", down(since=NOW - 42), "page", NOW)
    told = message("lab", [new])
    assert told.title == "[lab] lxc/101 is down"
    assert told.body == "page: lxc/101 is down (for 42 s)"
    assert told.kind == "failure"
    over = message("lab", [Change("resolved", down(since=NOW - 42), "page", NOW)])
    assert (over.title, over.kind) == ("[lab] resolved: lxc/101 is down", "success")
    assert message("lab", [Change("still", down(), "page", NOW)]).kind == "warning"


def test_a_message_of_many_is_not_endless_and_has_the_worst_first() -> None:
    changes = [Change("resolved", down(100), "ticket", NOW)]
    changes += [Change("new", down(200 + n, severity="ticket"), "ticket", NOW) for n in range(30)]
    changes += [Change("new", down(300), "page", NOW)]
    told = message("lab", changes, dropped=7)
    lines = told.body.splitlines()
    assert told.title == "[lab] 31 new, 1 resolved"
    assert lines[0].startswith("page: lxc/300")
    assert lines[-2:] == ["and 12 more", "7 earlier ones could not be told"]
    assert len(lines) == 22


def test_what_a_guest_said_is_one_short_line() -> None:
    text = "lxc/101 is down:\r\n\x1b[2Jsaid " + "x" * 1000
    told = message("lab", [Change("new", down(text=text), "page", NOW)])
    assert "\n" not in told.body
    assert "\x1b" not in told.body + told.title
    assert len(told.title) < 320


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h 0 min"),
        (100_000, "27 h 46 min"),
        (300_000, "3 d 11 h"),
    ],
)
def test_how_long(seconds: float, text: str) -> None:
    assert lasted(seconds) == text


STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.dictionaries(st.integers(1, 4), st.booleans(), max_size=4),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0.0, 10.0]))
def test_whatever_happens_news_and_ends_take_turns(
    steps: list[tuple[int, dict[int, bool]]], group_s: float
) -> None:
    alerts, now = alerting(group_s=group_s, remind_s=60), NOW
    told: dict[str, list[Change]] = {}
    for pause, seen in steps:
        now += pause
        conditions = [down(ident, now, sure=sure) for ident, sure in seen.items()]
        for change in alerts.update(conditions, now):
            told.setdefault(change.condition.key, []).append(change)
    for changes in told.values():
        turns = [one.kind for one in changes if one.kind != "still"]
        assert turns == (["new", "resolved"] * len(turns))[: len(turns)]
        for before, after in pairwise(changes):
            assert after.at >= before.at
            if after.kind == "still":
                assert before.kind in ("new", "still")
                assert after.at - before.at >= 60
    open_now = {key for key, changes in told.items() if changes[-1].kind != "resolved"}
    # Such that are over, and whose end is about to be told, are no longer active.
    assert {one.key for one in alerts.active} <= open_now
    ended = [*alerts.update([], now + 10), *alerts.update([], now + 30)]
    assert {one.condition.key for one in ended} == open_now
    assert not alerts.active
