"""Steps that break off, clocks and watchers that end: what the next decision then knows."""

from dataclasses import replace

import pytest
from tests.unit.watch.test_healing import ALL, RUNS, USUAL, T, down, step

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.heal import HealPolicy
from phoenix_hypervisor.model.watching import Happening, What
from phoenix_hypervisor.watch.course import Course, recalled
from phoenix_hypervisor.watch.healing import Case, Do, Leave, Wait, decide, is_plain
from phoenix_hypervisor.watch.symptoms import Symptoms


@pytest.mark.parametrize(("at", "found"), [(T + 4, "start"), (T + 6, "left")])
def test_what_somebody_stops_after_our_step_had_ended_is_theirs(at: float, found: str) -> None:
    course = Course(ours="restart")
    course.down(T, USUAL)
    course.failed(T, USUAL)
    case = Case("stopped", ended="somebody", who="ada", ended_at=at)
    decision = decide(USUAL, course, case, T + 60)
    assert (step(decision) if isinstance(decision, Do) else "left") == found


def test_what_a_step_of_ours_stopped_is_started_without_a_pause_and_whatever_is_allowed() -> None:
    policy = HealPolicy(steps=("rollback",), snapshot="good")
    course = down(policy, "rollback")
    course.ours = "rollback"
    stopped = Case("stopped", ended="somebody", who="root")
    assert step(decide(policy, course, stopped, T)) == "start"
    course.begins("start", T)
    assert not isinstance(decide(policy, course, stopped, T), Do)


def test_that_it_can_not_be_seen_who_stopped_it_is_said() -> None:
    found = decide(USUAL, down(), Case("stopped", ended="hidden", hidden="grant it"), T)
    assert isinstance(found, Leave)
    assert (found.kind, found.why) == ("hidden", "who stopped it can't be told: grant it")


def test_making_anew_that_broke_off_is_tried_again_with_pauses_and_an_end() -> None:
    course, now, done = down(ALL, "recreate"), T, []
    course.ours = "recreate"
    while True:
        found = decide(ALL, course, Case("absent"), now)
        if isinstance(found, Leave):
            break
        if isinstance(found, Wait):
            now = found.until
        else:
            done.append((found.step, now - T))
            course.begins(found.step, now)
            course.failed(now, ALL)
    assert done == [("recreate", 30), ("recreate", 90)]
    assert found.what == "gave-up"
    no_more = HealPolicy(steps=("service", "restart"))
    found = decide(no_more, course, Case("absent"), now)
    assert isinstance(found, Leave)
    assert "does not allow more" in found.why


def test_amid_an_upgrade_of_packages_nothing_is_begun() -> None:
    upgrade = Symptoms(dead=("postgresql.service",), upgrading=True)
    assert not is_plain(upgrade, hurts=True)
    case = replace(RUNS, symptoms=upgrade)
    assert isinstance(decide(USUAL, down(), case, T + 60), Wait)
    assert step(decide(USUAL, down(), case, T + 900)) == "service"
    frozen = replace(upgrade, frozen=("nginx.service",))
    assert is_plain(frozen, hurts=True)
    assert step(decide(USUAL, down(), replace(RUNS, symptoms=frozen), T)) == "service"


@pytest.mark.parametrize(("folder", "helps"), [("/", True), ("/var", True), ("/srv/films", False)])
def test_room_is_made_where_that_can_help(folder: str, *, helps: bool) -> None:
    full = Symptoms(full=(folder,))
    assert is_plain(full, hurts=False) == helps
    found = decide(USUAL, down(), replace(RUNS, symptoms=full), T)
    assert isinstance(found, Do) == helps


def test_making_room_does_not_count_as_a_step_of_the_hour() -> None:
    course = down(USUAL, "room", "service")
    assert course.in_last_hour(T) == [T]


def test_a_clock_that_was_set_back_leaves_all_pauses_as_long_as_they_are() -> None:
    course = down(USUAL, "service")
    course.failed(T, USUAL)
    course.ended(T, 10)
    course.shift(-7200)
    assert (course.down_since, course.next_at, course.settles_at, course.over) == (
        T - 7200,
        T - 7190,
        T - 7190,
        T - 7200,
    )
    assert course.in_last_hour(T - 7200) == [T - 7200]
    assert course.last == ("service", T - 7200)


def test_a_new_watcher_goes_on_in_the_same_outage() -> None:
    web = lxc(101)

    def told(*lines: tuple[What, str]) -> Course:
        found = [Happening(T + n, what, web, "", step) for n, (what, step) in enumerate(lines)]
        return recalled(found[::-1], lambda _: ALL)[web]

    course = told(("down", ""), ("heal", "service"), ("heal", "recreate"), ("heal", "service"))
    assert (course.down_since, course.tried, course.rounds) == (T, ["service"], 1)
    assert course.lost == {"recreate"}
    course = told(("down", ""), ("heal", "restart"), ("gave-up", ""))
    assert course.gave_up == (T + 2, "")
    course = told(("down", ""), ("heal", "restart"), ("gave-up", ""), ("up", ""))
    assert (course.gave_up, course.down_since, course.up_since) == (None, None, T + 3)
    flap: list[tuple[What, str]] = [("down", ""), ("heal", "start"), ("healed", "start")]
    assert told(*flap * 3, ("down", "")).again == 3


def test_a_new_watcher_knows_the_steps_of_the_last_one() -> None:
    web = lxc(101)
    before = [
        Happening(T - 20, "trouble", "", ""),
        Happening(T - 30, "heal", web, "", "service"),
        Happening(T - 40, "healed", web, "", "start"),
        Happening(T - 45, "heal", web, "start failed: it is locked"),
        Happening(T - 50, "heal", web, "", "start"),
    ]
    found = recalled(before, lambda _: USUAL)
    assert {one: course.done for one, course in found.items()} == {web: [T - 50, T - 30]}
