"""Service level objectives, against cases that were computed by hand."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.watch.slo import (
    BURN_RULES,
    WINDOWS,
    Budget,
    burn_rate,
    burning,
    latency_kept,
)
from phoenix_hypervisor.watch.time_line import Totals

MONTH = WINDOWS["30d"]


def test_three_nines_of_a_month() -> None:
    budget = Budget(0.999, MONTH, Totals(up_s=MONTH - 1000, down_s=1000))
    assert budget.allowed_s == pytest.approx(2592)  # 43 min 12 s
    assert budget.left_s == pytest.approx(1592)
    assert budget.left == pytest.approx(1592 / 2592)
    assert budget.unknown_s == 0
    assert budget.kept is True


def test_a_broken_promise_stays_broken_whatever_is_unknown() -> None:
    budget = Budget(0.999, MONTH, Totals(up_s=3600, down_s=2593))
    assert budget.left_s == pytest.approx(-1)
    assert budget.kept is False


def test_what_nobody_saw_proves_nothing() -> None:
    assert Budget(0.999, MONTH, Totals(up_s=MONTH / 2)).kept is None
    assert Budget(0.999, MONTH, Totals(up_s=MONTH - 2592)).kept is True
    assert Budget(0.999, MONTH, Totals(up_s=MONTH - 2593)).kept is None
    assert Budget(0.999, MONTH, Totals()).kept is None


def test_planned_time_is_neither_promised_nor_counted() -> None:
    hour = WINDOWS["1h"]
    budget = Budget(0.9, hour, Totals(up_s=1500, down_s=300, planned_s=1800))
    assert budget.allowed_s == pytest.approx(180)
    assert budget.kept is False
    assert Budget(0.9, hour, Totals(planned_s=3600)).kept is True


def test_all_of_the_time_allows_nothing() -> None:
    hour = WINDOWS["1h"]
    assert Budget(1.0, hour, Totals(up_s=hour)).left == 1
    assert Budget(1.0, hour, Totals(up_s=hour)).kept is True
    broken = Budget(1.0, hour, Totals(up_s=hour - 1, down_s=1))
    assert (broken.kept, broken.left) == (False, -math.inf)


@pytest.mark.parametrize(
    ("objective", "window", "up", "down", "rate"),
    [
        (0.999, 3600, 3600 - 3.6, 3.6, 1.0),
        (0.999, 3600, 120, 3.6, 1.0),  # two minutes of it were watched
        (0.999, 3600, 3600 - 51.84, 51.84, 14.4),  # 2 % of 2592 s
        (0.999, 60, 0, 60, 1000.0),
        (0.99, 200, 50, 50, 25.0),
        (0.5, 100, 100, 0, 0.0),
        (1.0, 100, 100, 0, 0.0),
        (1.0, 100, 99, 1, math.inf),
    ],
)
def test_burn_rates(objective: float, window: float, up: float, down: float, rate: float) -> None:
    assert burn_rate(objective, window, Totals(up, down)) == pytest.approx(rate)


def test_no_rate_of_nothing() -> None:
    assert burn_rate(0.999, 60, Totals(planned_s=60)) is None


def failing(shares: dict[float, float]) -> Callable[[float], Totals]:
    """Totals of windows by their length: the share that was down."""

    def last(window_s: float) -> Totals:
        share = shares.get(window_s, 0.0)
        return Totals(window_s * (1 - share), window_s * share)

    return last


HOUR, MINUTE = 3600.0, 60.0


@pytest.mark.parametrize(
    ("shares", "severity"),
    [
        ({HOUR: 0.0145, 5 * MINUTE: 0.0145}, "page"),
        ({HOUR: 0.0143, 5 * MINUTE: 0.5}, None),
        ({HOUR: 0.5, 5 * MINUTE: 0.0}, None),  # it is over
        ({6 * HOUR: 0.0061, 30 * MINUTE: 0.0061}, "page"),
        ({72 * HOUR: 0.0011, 6 * HOUR: 0.0011}, "ticket"),
        ({72 * HOUR: 0.0011, 6 * HOUR: 0.0009}, None),
    ],
)
def test_burning_needs_both_windows(shares: dict[float, float], severity: str | None) -> None:
    found = burning(0.999, failing(shares))
    assert (found.rule.severity if found else None) == severity


@pytest.mark.parametrize(
    ("down_s", "rate"),
    [
        (4.3, None),  # 0.17 % of the 2592 s of 30 days
        (7.4, None),
        (51.0, None),  # 1.97 %
        (53.0, 53 / 3.6),  # 2.04 %: of an hour 3.6 s are allowed
        (120.0, 120 / 3.6),
    ],
)
def test_a_fresh_watcher_tells_what_was_really_used(down_s: float, rate: float | None) -> None:
    def last(window_s: float) -> Totals:
        return Totals(up_s=120.0 - down_s, down_s=down_s)  # it began two minutes ago

    found = burning(0.999, last)
    assert (found.rate if found else None) == pytest.approx(rate)


def test_the_rules_spend_what_the_workbook_says() -> None:
    spent = [rule.rate * rule.long_s / MONTH for rule in BURN_RULES]
    assert spent == pytest.approx([0.02, 0.05, 0.1])


@pytest.mark.parametrize(
    ("answers", "slow", "kept"),
    [(0, 0, None), (20, 1, True), (20, 2, False), (19, 1, False), (1, 0, True), (100, 5, True)],
)
def test_the_95th_percentile(answers: int, slow: int, kept: bool | None) -> None:
    assert latency_kept(answers, slow) is kept


SECONDS = st.floats(0, 1e6)


@given(SECONDS, SECONDS, SECONDS, st.floats(0.5, 1))
def test_a_budget_is_never_kept_and_broken(
    up: float, down: float, planned: float, objective: float
) -> None:
    budget = Budget(objective, max(up + down + planned, 1.0), Totals(up, down, planned))
    assert budget.unknown_s >= 0
    assert (budget.kept is False) == (budget.left_s < 0)
    rate = burn_rate(objective, budget.window_s, budget.totals)
    if budget.kept and rate is not None and objective < 1 and planned == 0:
        assert rate <= 1 + 1e-6


@given(SECONDS, SECONDS, st.floats(0.5, 0.9999))
def test_a_window_that_was_watched_whole_leaves_what_its_rate_did_not_burn(
    up: float, down: float, objective: float
) -> None:
    totals = Totals(up + 1, down)
    budget = Budget(objective, totals.known_s, totals)
    rate = burn_rate(objective, totals.known_s, totals)
    assert rate is not None
    assert budget.left == pytest.approx(1 - rate, rel=1e-6, abs=1e-6)
    assert budget.kept is (budget.left_s >= 0)


@given(
    st.dictionaries(st.sampled_from([300.0, 1800.0, 21600.0, 3600.0, 259200.0]), st.floats(0, 1))
)
def test_more_failures_never_end_a_burning(shares: dict[float, float]) -> None:
    now = burning(0.999, failing(shares))
    worse = burning(0.999, failing({window: min(1, share * 2) for window, share in shares.items()}))
    assert now is None or worse is not None
    if now is not None and worse is not None:
        severities = {"page": 1, "ticket": 0}
        assert severities[worse.rule.severity] >= severities[now.rule.severity]
