"""The arithmetic of `python -m tests.chaos`: what a fault costs, which comes when, the tables."""

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from tests.chaos import care, measure, table
from tests.chaos.care import Care
from tests.chaos.clients import Reply
from tests.chaos.faults import DB, GUESTS, HELLO_1, HIT, WEB
from tests.chaos.measure import Kept, Outcome, Run
from tests.chaos.order import Target, dealt

AT = 1000.0
FEW = {"one": GUESTS, "two": GUESTS, "three": (WEB, DB)}


def outcome(kind: str, recovery_s: float, **more: object) -> Outcome:
    made = Outcome(kind, WEB, AT, recovery_s, round(recovery_s * 10), Care())
    return replace(made, **more)  # type: ignore[arg-type]


def run(*outcomes: Outcome, lost: int = 0) -> Run:
    kept = (Kept("page", 200, 10, 1.5), Kept("replicas", 100, lost, 0.5, sacred=True))
    return Run(outcomes, kept, seed=1, took_s=60.0)


def test_each_round_has_each_kind_once() -> None:
    order = list(islice(dealt(HIT, 1), 30))
    for begin in range(0, 30, 6):
        assert {kind for kind, _ in order[begin : begin + 6]} == set(HIT)


def test_each_target_is_hit_before_one_is_hit_again() -> None:
    order = list(islice(dealt(FEW, 3), 18 * 4))
    hits = Counter(order)
    assert {hits["one", each] for each in GUESTS} == {4}
    assert {hits["three", each] for each in FEW["three"]} == {12}


def test_the_order_is_the_seed_s() -> None:
    orders = [list(islice(dealt(HIT, seed), 12)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_a_guest_is_not_hit_twice_in_a_row() -> None:
    guests = [(one.stack, one.ident) for _, one in islice(dealt(HIT, 1), 6)]
    assert all(one != other for one, other in pairwise(guests))


def test_the_proxy_before_the_replicas_is_spared() -> None:
    hit: set[Target] = {one for targets in HIT.values() for one in targets}
    assert {one.name for one in hit if one.stack == "replicas"} == {"hello-1", "hello-2"}


def test_a_fault_is_felt_until_the_last_lost_question_ended() -> None:
    replies = [
        Reply(AT - 9, 1, "before it"),
        Reply(AT - 0.5, 1, "cut"),
        Reply(AT + 1, 0.1, ""),
        Reply(AT + 2, 1.5, "TimeoutError"),
        Reply(AT + 3, 0.1, ""),
    ]
    assert measure.felt(replies, AT - 1, AT) == (3.5, 2)


def test_what_loses_nothing_is_not_felt() -> None:
    assert measure.felt([Reply(AT, 1.9, "")], AT - 1, AT) == (0.0, 0)


def test_what_is_lost_before_the_moment_counts_without_time() -> None:
    """As a disk does that is being filled."""
    assert measure.felt([Reply(AT - 0.5, 0.1, "refused")], AT - 1, AT) == (0.0, 1)


def test_an_endpoint_is_summed_up() -> None:
    replies = [Reply(AT, 0.2, ""), Reply(AT, 5.0, "lost"), Reply(AT, 0.4, ""), Reply(AT, 0.1, "")]
    kept = measure.kept("page", replies, sacred=False)
    assert (kept.asked, kept.lost, kept.slowest_s, kept.availability) == (4, 1, 0.4, 0.75)


def test_an_hour_with_one_fault() -> None:
    assert measure.left_of_an_hour([outcome("halted", 1.8), outcome("frozen", 5.4)]) == 0.999


@pytest.mark.parametrize(
    ("made", "slack", "missed"),
    [
        (run(outcome("service killed", 1.9), outcome("halted", 4.0)), 1, set()),
        (run(outcome("service killed", 2.0)), 1, {"killed services, median"}),
        (run(outcome("service killed", 2.0)), 3, set()),
        (
            run(outcome("halted", 9.0), outcome("init killed", 11.0)),
            1,
            {"killed guests, median", "one fault an hour leaves"},
        ),
        (run(outcome("frozen", 0.0), lost=1), 9, {"questions that replicas lose"}),
        (
            run(outcome("disk filled", 0.0, room_s=56.0)),
            1,
            {"recovered by itself within 55 s"},
        ),
        (
            run(outcome("network cut", 1.0, ill=("the page",))),
            1,
            {"recovered by itself within 55 s"},
        ),
        (
            run(outcome("frozen", 1.0, care=Care(gave_up=("lxc/1: all steps were tried",)))),
            1,
            {"times that healing gave up"},
        ),
    ],
)
def test_goals(made: Run, slack: float, missed: set[str]) -> None:
    goals = measure.goals(replace(made, slack=slack))
    assert {goal.what for goal in goals if goal.met is False} == missed


def test_the_tables() -> None:
    made = run(
        outcome("halted", 6.0, care=Care(detected_s=1.0, steps=(("start", 1.5, "by itself"),))),
        outcome("init killed", 3.0),
        outcome("halted", 8.0),
    )
    text = table.tables(made, measure.goals(made))
    assert "| halted | 2 | 140 | 7.0 s | 8.0 s | 1.0 s | 1.5 s | 99.806% |" in text
    assert "| init killed and halted | 3 | 170 | 6.0 s | 8.0 s |" in text
    assert "| page | 200 | 10 | 95.00% | 1.50 s |" in text
    assert "| killed guests, median | 6.0 s | less than 10 s | reached |" in text


def test_what_a_watcher_tells_of_a_fault() -> None:
    lines = [
        told("down", "lxc/101", 2.0),
        told("heal", "lxc/102", 2.5, "service", "hangs"),
        told("heal", "lxc/101", 3.0, "room", "it is full"),
        told("heal", "lxc/101", 3.5, "", "room: made 4 MiB"),
        told("heal", "lxc/101", 4.0, "service", "postgresql does not run"),
        told("up", "lxc/101", 6.0),
        told("healed", "lxc/101", 6.5, "service"),
        told("gave-up", "lxc/102", 7.0, "", "all steps were tried"),
    ]
    said = care.read(lines, "lxc/101", AT)
    assert (said.detected_s, said.started_s, said.up_s, said.healed_s) == (2.0, 3.0, 6.0, 6.5)
    assert [step for step, _, _ in said.steps] == ["room", "service"]
    assert said.others == ("lxc/102 service +2.5: hangs",)
    assert said.gave_up == ("lxc/102: all steps were tried",)


def test_a_line_tells_what_did_not_recover() -> None:
    one = outcome("network cut", 58.0, target=HELLO_1, ill=("hello-1 itself",))
    assert "NOT RECOVERED: hello-1 itself" in table.line(3, one, 55)
    assert "NOT RECOVERED" not in table.line(3, outcome("frozen", 4.0), 55)


def told(
    event: str, guest: str, after_s: float, step: str = "", text: str = ""
) -> dict[str, object]:
    return {
        "event": event,
        "at": AT + after_s,
        "guest": guest,
        "step": step or None,
        "message": text,
    }
