"""How long a graph takes with so many hands."""

import random
import time

import pytest

from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.change import Action, Change, Step
from phoenix_hypervisor.model.event import Event, EventKind
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.forecast import Forecast
from phoenix_hypervisor.plan.schedule import Hands, remaining


def change(number: int, *steps: tuple[str, float], after: tuple[str, ...] = ()) -> Change:
    """Steps of one guest, one after the other."""
    made: list[Step] = []
    for name, seconds in steps:
        before = (made[-1].id,) if made else after
        count = sum(step.name == name for step in made)
        ident = f"{lxc(number)}:{name}" + (f".{count + 1}" if count else "")
        made.append(Step(ident, lxc(number), name, before, seconds))
    return Change(lxc(number), Action.CREATE, steps=tuple(made))


def hands(slots: int = 4, clones: int = 8, sources: dict[Address, Address] | None = None) -> Hands:
    return Hands(slots, clones, sources or {})


def test_nothing_takes_no_time() -> None:
    assert remaining([], hands()) == 0


def test_steps_of_one_guest_follow_each_other() -> None:
    assert remaining([change(1, ("create", 2), ("start", 3))], hands()) == 5


@pytest.mark.parametrize(("slots", "seconds"), [(1, 30), (2, 20), (3, 10), (9, 10)])
def test_so_many_at_once(slots: int, seconds: float) -> None:
    assert remaining([change(n, ("start", 10)) for n in range(3)], hands(slots)) == seconds


def test_checks_need_no_slot() -> None:
    assert remaining([change(n, ("check", 10)) for n in range(9)], hands(1)) == 10


def test_a_dependency_is_waited_for() -> None:
    first = change(1, ("create", 2), ("check", 5))
    second = change(2, ("start", 1), after=(f"{lxc(1)}:check",))
    assert remaining([second, first], hands()) == 8


def test_one_clone_of_a_source_at_a_time() -> None:
    clones = [change(n, ("create", 4), ("start", 1)) for n in (1, 2, 3)]
    sources = {lxc(n): lxc(900) for n in (1, 2, 3)}
    assert remaining(clones, hands(8, 1, sources)) == 13
    assert remaining(clones, hands(8, 2, sources)) == 9
    assert remaining(clones, hands(8, 8, sources)) == 5


def test_what_is_over_counts_no_more_and_what_runs_a_part() -> None:
    changes = [change(1, ("create", 4), ("start", 6)), change(2, ("create", 1))]
    create, start = (f"{lxc(1)}:{name}" for name in ("create", "start"))
    assert remaining(changes, hands(1)) == 11
    assert remaining(changes, hands(1), running={create: 3}) == 8
    assert remaining(changes, hands(1), over={create}) == 7
    assert remaining(changes, hands(), over={create, f"{lxc(2)}:create"}, running={start: 2}) == 4
    assert remaining(changes, hands(), running={create: 8}) == 8  # late: a quarter more, then 6


def test_a_clone_that_is_being_made_keeps_the_next_one_waiting() -> None:
    clones = [change(n, ("create", 4)) for n in (1, 2, 3)]
    sources = {lxc(n): lxc(900) for n in (1, 2, 3)}
    first = {f"{lxc(1)}:create": 3.0}
    assert remaining(clones, hands(8, 1, sources), running=first) == 9  # 1 left, then 4 and 4
    assert remaining(clones, hands(8, 2, sources), running=first) == 5


def test_a_step_outside_is_not_waited_for() -> None:
    assert remaining([change(3, ("create", 5.5), after=("lxc/9:create",))], hands()) == 5.5


def test_it_is_never_below_the_longest_path_nor_the_work_of_all_hands() -> None:
    for seed in range(200):
        dice = random.Random(seed)  # noqa: S311
        changes: list[Change] = []
        for number in range(dice.randint(1, 12)):
            earlier = [one.steps[-1].id for one in changes]
            after = tuple(dice.sample(earlier, dice.randint(0, min(2, len(earlier)))))
            names = dice.sample(["create", "start", "configure", "snapshot"], dice.randint(1, 4))
            steps = [(name, float(dice.randint(0, 9))) for name in names]
            changes.append(change(number, *steps, after=after))
        slots = dice.randint(1, 5)
        seconds = remaining(changes, hands(slots))
        alone = remaining(changes, hands(1))
        work = sum(step.estimate_s for one in changes for step in one.steps)
        longest = remaining(changes, hands(10_000))
        assert longest <= seconds <= work
        assert seconds >= work / slots - 1e-9
        assert alone == work
        # Graham's bound for any schedule without needless waiting.
        assert seconds <= work / slots + longest * (1 - 1 / slots) + 1e-9


def test_a_plan_of_thousands_is_no_trouble() -> None:
    changes = [change(n, ("create", 2), ("start", 1), ("configure", 9)) for n in range(5000)]
    sources = {lxc(n): lxc(n % 7) for n in range(5000)}
    start = time.thread_time()
    assert remaining(changes, hands(8, 1, sources)) > 5000
    assert time.thread_time() - start < 1.5  # it is 0.1 s


def told(kind: EventKind, step: str, at: float, number: int = 1) -> Event:
    return Event(kind, lxc(number), "create", step, at)


def test_a_forecast_follows_the_events() -> None:
    plan = Plan("lab", "sim", (change(1, ("create", 4), ("start", 1), ("stop", 2), ("start", 1)),))
    forecast = Forecast(plan, hands())
    assert forecast.left_s(0) == 8
    forecast.take(told("started", "create", 1))
    assert forecast.left_s(3) == 6
    forecast.take(told("progress", "create", 3))
    forecast.take(told("retry", "create", 3))
    assert forecast.left_s(3) == 6
    forecast.take(told("finished", "create", 4))
    assert forecast.left_s(4) == 4
    for name, at in (("start", 5), ("stop", 6), ("start", 7)):
        forecast.take(told("started", name, at - 1))
        forecast.take(told("finished", name, at))
    assert forecast.left_s(7) == 0


def test_a_forecast_expects_nothing_of_what_failed_or_was_skipped() -> None:
    plan = Plan("lab", "sim", (change(1, ("create", 4), ("start", 1)), change(2, ("create", 2))))
    forecast = Forecast(plan, hands(1))
    forecast.take(told("started", "create", 0))
    forecast.take(told("failed", "create", 1))
    forecast.take(told("skipped", "start", 1))
    assert forecast.left_s(1) == 2
    forecast.take(Event("started", lxc(9), "verify", "check", 1))
    forecast.take(Event("finished", lxc(2), "verify", "create", 1))
    assert forecast.left_s(1) == 2
