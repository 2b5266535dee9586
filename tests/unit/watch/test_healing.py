"""What is done next for a guest that is down, and when nothing is."""

from dataclasses import replace

import pytest

from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.watch.course import Course, Step
from phoenix_hypervisor.watch.healing import (
    Case,
    Decision,
    Do,
    Leave,
    Wait,
    decide,
    evident,
    in_doubt,
    is_plain,
)
from phoenix_hypervisor.watch.symptoms import Symptoms

T = 10_000.0
USUAL = HealPolicy()
ALL = HealPolicy(steps=("service", "restart", "rollback", "recreate"), snapshot="good", per_hour=99)
RUNS = Case("running", symptoms=Symptoms())
ENDED = Case("stopped", ended="itself")


def down(policy: HealPolicy = USUAL, *tried: Step, at: float = T) -> Course:
    course = Course()
    course.down(at, policy)
    for step in tried:
        course.begins(step, at)
        course.ended(at, 0)
    return course


def seen(**found: tuple[str, ...] | str) -> Case:
    return replace(RUNS, symptoms=Symptoms(**found))  # type: ignore[arg-type]


def step(decision: Decision) -> str:
    assert isinstance(decision, Do), decision
    return decision.step


def test_a_guest_that_ended_by_itself_is_started_at_once() -> None:
    assert step(decide(USUAL, down(), ENDED, T)) == "start"


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (Case("stopped", ended="somebody", who="root"), "root stopped it"),
        (Case("stopped", ended="unseen"), "nobody watched"),
        (Case("stopped", paused=True, ended="itself"), "somebody paused it"),
        (Case("stopped", paused=True, who="root"), "root paused it"),
        (Case("absent"), "somebody deleted it"),
    ],
)
def test_what_a_person_may_have_done_is_left(case: Case, why: str) -> None:
    found = decide(ALL, down(), case, T)
    assert isinstance(found, Leave)
    assert found.what == "held"
    assert why in found.why


def test_what_a_step_of_ours_left_is_finished() -> None:
    course = down(USUAL, "restart")
    course.ours = "restart"
    stopped = Case("stopped", ended="somebody", who="root")
    other = HealPolicy(steps=("service", "restart"), per_hour=6)
    course.tried.clear()
    assert step(decide(other, course, stopped, T)) == "start"
    course.ours = "recreate"
    assert step(decide(ALL, course, Case("absent"), T)) == "recreate"


def test_without_steps_nothing_is_done() -> None:
    found = decide(HealPolicy(steps=()), down(), ENDED, T)
    assert isinstance(found, Leave)
    found = decide(HealPolicy(steps=("service",)), down(), ENDED, T)
    assert isinstance(found, Leave)
    assert "does not allow" in found.why


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"dead": ("a.service",), "serving": ("b.service",)}, Do("service", "", ("a.service",))),
        (
            {"frozen": ("a.service",), "dead": ("b.service",)},
            Do("service", "", ("a.service",), wakes=True),
        ),
        ({"full": ("/",), "dead": ("a.service",)}, Do("room", "")),
        ({"idle": ("eth0",)}, Do("service", "", cards=("eth0",))),
    ],
)
def test_what_is_plainly_wrong_is_mended_at_once(
    found: dict[str, tuple[str, ...]], wanted: Do
) -> None:
    decision = decide(USUAL, down(), seen(**found), T)
    assert isinstance(decision, Do)
    assert replace(decision, why="") == wanted


@pytest.mark.parametrize(
    ("found", "hurts", "wanted"),
    [
        ({"frozen": ("a.service",)}, True, "service"),
        ({"dead": ("a.service",)}, True, "service"),
        ({"idle": ("eth0",)}, True, "service"),
        ({"cut": ("eth0",)}, True, ""),
        ({"full": ("/",)}, True, "room"),
        ({"full": ("/",), "dead": ("a.service",)}, False, "room"),
        ({"cut": ("eth0",), "dead": ("a.service",)}, False, ""),
        ({"dead": ("a.service",)}, False, ""),
        ({"frozen": ("a.service",)}, False, ""),
        ({"serving": ("a.service",), "young": ("b.service",)}, True, ""),
        ({"changing": "stopping", "dead": ("a.service",)}, True, ""),
        ({"silent": "no shell"}, True, ""),
    ],
)
def test_what_is_plain_while_its_checks_still_pass(
    found: dict[str, tuple[str, ...] | str], *, hurts: bool, wanted: str
) -> None:
    symptoms = Symptoms(**found)  # type: ignore[arg-type]
    assert is_plain(symptoms, hurts=hurts) == bool(wanted)
    if wanted:
        assert step(evident(USUAL, down(), symptoms, T, hurts=hurts)) == wanted


def test_what_is_plain_is_within_the_policy_and_its_limits() -> None:
    cut, full = Symptoms(cut=("eth0",)), Symptoms(full=("/",))
    only = HealPolicy(steps=("service",))
    assert isinstance(evident(only, down(only), cut, T, hurts=True), Wait)
    restart = HealPolicy(steps=("restart",))
    assert isinstance(evident(restart, down(restart), cut, T, hurts=True), Wait)
    assert isinstance(evident(restart, down(restart), full, T, hurts=True), Wait)
    often = down()
    often.done = [T - 1] * USUAL.per_hour
    assert isinstance(evident(USUAL, often, full, T, hurts=False), Leave)


def test_after_room_was_made_its_services_are_next() -> None:
    case = seen(full=("/",), dead=("a.service",))
    found = decide(USUAL, down(USUAL, "room"), case, T)
    assert step(found) == "service"
    assert isinstance(found, Do)
    assert "takes nothing more" in found.why


def test_what_only_does_not_answer_is_given_time() -> None:
    case = seen(serving=("a.service", "b.service"))
    assert isinstance(decide(USUAL, down(), case, T + 9), Wait)
    found = decide(USUAL, down(), case, T + 10)
    assert isinstance(found, Do)
    assert found.units == ("a.service", "b.service")
    guilty = replace(case, suspects=("b*.service",))
    found = decide(USUAL, down(), guilty, T + 10)
    assert isinstance(found, Do)
    assert found.units == ("b.service",)


def test_a_model_server_has_the_time_that_its_check_is_given() -> None:
    case = replace(seen(young=("llm.service",)), patience_s=600)
    assert isinstance(decide(USUAL, down(), case, T + 599), Wait)
    assert step(decide(USUAL, down(), case, T + 600)) == "service"
    begun = replace(case, runs_since=T + 300)
    assert isinstance(decide(USUAL, down(), begun, T + 899), Wait)


def test_the_ladder_goes_up_and_loses_data_once() -> None:
    course, case = down(ALL), seen(dead=("a.service",))
    steps, now = [], T
    for _ in range(6):
        now += 15
        found = decide(ALL, course, case, now)
        if isinstance(found, Do):
            steps.append(found.step)
            course.begins(found.step, now)
    assert steps == ["service", "restart", "rollback", "recreate"]
    assert isinstance(found, Wait)
    now = found.until
    assert step(decide(ALL, course, case, now)) == "service"
    course.begins("service", now)
    course.begins("restart", now)
    assert not isinstance(decide(ALL, course, case, now + 30), Do)  # data is lost once at most


def test_rounds_have_growing_pauses_and_an_end() -> None:
    policy = HealPolicy(steps=("restart",), back_off_s=30, per_hour=99)
    course, now, pauses = down(policy), T + 10, []
    while True:
        found = decide(policy, course, RUNS, now)
        if isinstance(found, Leave):
            break
        if isinstance(found, Wait):
            pauses.append(found.until - now)
            now = found.until
        else:
            course.begins(found.step, now)
    assert pauses == [30, 60]
    assert found.what == "gave-up"
    assert "3 times" in found.why


def test_no_more_than_the_limit_in_an_hour() -> None:
    course = Course(done=[T - 3700, T - 3500, T - 100])
    course.down(T, USUAL)
    policy = HealPolicy(per_hour=2)
    found = decide(policy, course, ENDED, T)
    assert isinstance(found, Leave)
    assert (found.what, found.until) == ("held", T + 100)
    assert step(decide(policy, course, ENDED, T + 100)) == "start"


def test_a_guest_that_flaps_is_given_up_and_forgiven_when_stable() -> None:
    course, now = Course(), T
    for turn in range(3):
        course.down(now, USUAL)
        course.next_at = 0
        assert step(decide(USUAL, course, ENDED, now)) == "start", turn
        course.begins("start", now)
        assert course.up(now + 2) == ("start", 2)
        now += 20
    course.down(now, USUAL)
    found = decide(USUAL, course, ENDED, now)
    assert isinstance(found, Leave)
    assert found.what == "gave-up"
    course.up(now)
    course.down(now + 60, USUAL)
    assert step(decide(USUAL, course, ENDED, now + 60)) == "start"


def test_flapping_waits_longer_each_time() -> None:
    policy = HealPolicy(flaps=9, back_off_s=30)
    course, now, waits = Course(), T, []
    for _ in range(4):
        course.down(now, policy)
        found = decide(policy, course, ENDED, now)
        waits.append(found.until - now if isinstance(found, Wait) else 0)
        course.begins("start", now)
        course.up(now + 2)
        now += 10
    assert waits == [0, 0, 30, 60]


def test_going_down_again_without_any_step_is_no_flapping() -> None:
    course, now = Course(), T
    for _ in range(9):  # systemd begins a service again each time
        course.down(now, USUAL)
        assert course.up(now + 1) is None
        now += 5
    course.down(now, USUAL)
    assert step(decide(USUAL, course, ENDED, now)) == "start"


def test_a_guest_waits_for_those_that_it_depends_on() -> None:
    waiting = replace(RUNS, waits_for=("lxc/103",))
    found = decide(USUAL, down(), waiting, T + 100)
    assert isinstance(found, Wait)
    assert "lxc/103" in found.why
    dead = replace(seen(dead=("a.service",)), waits_for=("lxc/103",))
    assert step(decide(USUAL, down(), dead, T)) == "service"
    ended = replace(ENDED, waits_for=("lxc/103",))
    assert step(decide(USUAL, down(), ended, T)) == "start"


def test_a_cut_network_needs_a_restart_and_not_its_services() -> None:
    found = decide(USUAL, down(), seen(cut=("eth0",), serving=("a.service",)), T + 1)
    assert step(found) == "restart"
    assert isinstance(found, Do)
    assert "eth0 is away or leads nowhere" in found.why


def test_where_cards_can_be_plugged_again_that_comes_before_a_restart() -> None:
    case = replace(seen(cut=("eth0",), dead=("a.service",)), plugs=True)
    assert decide(USUAL, down(), case, T) == Do(
        "plug", "its network card eth0 is away or leads nowhere", cards=("eth0",)
    )
    found = decide(USUAL, down(USUAL, "plug", "service"), case, T + 1)
    assert isinstance(found, Do)
    assert (found.step, found.cards) == ("restart", ("eth0",))
    assert not is_plain(Symptoms(cut=("eth0",)), hurts=False)
    assert is_plain(Symptoms(cut=("eth0",)), hurts=False, plugs=True)
    early = evident(USUAL, down(), Symptoms(cut=("eth0",)), T, hurts=False, plugs=True)
    assert step(early) == "plug"
    again = evident(USUAL, down(USUAL, "plug"), Symptoms(cut=("eth0",)), T, hurts=False, plugs=True)
    assert isinstance(again, Wait)  # its checks pass: that is no reason for a restart


def test_in_doubt_only_services_count_that_the_files_ask_for_and_that_could_be_mended() -> None:
    seen = Symptoms(
        dead=("auditd.service", "nginx.service", "postgresql@16-main.service"),
        frozen=("own.service",),
        idle=("eth0", "eth1"),
    )
    found = in_doubt(seen, ("nginx.service", "postgresql@*.service"), {"nginx.service", "eth1"})
    assert found == Symptoms(
        dead=("postgresql@16-main.service",), frozen=("own.service",), idle=("eth0",)
    )


def test_a_reason_has_the_last_words_of_the_services_that_it_is_about() -> None:
    said = (("a.service", "no such file"), ("b.service", "something else"))
    dead = replace(seen(), symptoms=Symptoms(dead=("a.service",), said=said))
    found = decide(USUAL, down(), dead, T)
    assert found.why == "a.service does not run; a.service said: no such file"
    again = decide(USUAL, down(USUAL, "service"), dead, T + 60)
    assert (step(again), again.why) == ("restart", "its checks fail; a.service said: no such file")
    young = replace(seen(), symptoms=Symptoms(young=("b.service",), said=said))
    assert "it is given time; b.service said: something else" in decide(USUAL, down(), young, T).why
    late = decide(USUAL, down(), young, T + 600)
    assert late.why == "b.service does not come up; b.service said: something else"


def test_a_card_that_somebody_took_away_is_theirs() -> None:
    found = decide(ALL, down(), seen(taken=("eth0",), serving=("a.service",)), T + 60)
    assert isinstance(found, Leave)
    assert (found.what, found.kind) == ("held", "taken")
    assert "eth0" in found.why
    assert "phoenix apply" in found.why
    dead = seen(taken=("eth0",), dead=("a.service",))
    assert step(decide(USUAL, down(), dead, T)) == "service"
    assert isinstance(decide(USUAL, down(USUAL, "service"), dead, T + 60), Leave)


def test_a_card_is_no_reason_to_lose_data() -> None:
    course = down(ALL, "plug", "service", "restart")
    found = decide(ALL, course, replace(seen(cut=("eth0",)), plugs=True), T + 20)
    assert isinstance(found, Wait)


def test_a_service_that_waits_for_another_guest_is_left_until_that_is_up_for_a_while() -> None:
    case = replace(seen(serving=("a.service",)), waits_for=("lxc/101",))
    assert isinstance(decide(USUAL, down(), case, T + 60), Wait)
    back = replace(case, waits_for=(), waited_at=T + 60)
    assert isinstance(decide(USUAL, down(), back, T + 69), Wait)
    assert step(decide(USUAL, down(), back, T + 70)) == "service"


def test_a_guest_that_can_not_be_asked_is_restarted_after_a_while() -> None:
    silent = seen(silent="no shell")
    assert isinstance(decide(USUAL, down(), silent, T + 9), Wait)
    assert step(decide(USUAL, down(), silent, T + 10)) == "restart"


def test_one_that_starts_or_stops_is_waited_for() -> None:
    stopping = seen(changing="stopping", dead=("a.service",))
    assert isinstance(decide(USUAL, down(), stopping, T + 29), Wait)
    assert step(decide(USUAL, down(), stopping, T + 30)) == "service"
