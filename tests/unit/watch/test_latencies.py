"""Percentiles of a histogram are never too low, and at most a tenth too high."""

import math
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.watch import latencies as module
from phoenix_hypervisor.watch.latencies import Latencies

TIMES = st.lists(st.floats(0.2, 1e6), min_size=1, max_size=60)


def counted(times: list[float]) -> Latencies:
    found = Latencies()
    for each in times:
        found.add(each)
    return found


class Growing(Counter[int]):
    """Another thread counts into it at each step of who goes through it."""

    def items(self) -> Any:
        for each in super().items():
            yield each
            self[len(self)] = 1


def test_what_another_thread_counts_meanwhile_stops_nobody() -> None:
    both, other = counted([1.0]), Latencies()
    other._counts = Growing({5: 2, 6: 3})
    both.merge(other)
    assert both.answers == 6


@given(TIMES, st.floats(0.01, 1))
def test_against_the_exact_one(times: list[float], share: float) -> None:
    exact = sorted(times)[max(1, math.ceil(share * len(times))) - 1]
    found = counted(times).percentile(share)
    assert found is not None
    assert exact * (1 - 1e-6) <= found <= exact * 1.1 * (1 + 1e-6)


@given(TIMES, TIMES)
def test_kept_and_added_up(one: list[float], other: list[float]) -> None:
    both = Latencies.of(counted(one).text())
    both.merge(Latencies.of(counted(other).text()))
    assert both.text() == counted(one + other).text()
    assert both.answers == len(one) + len(other)


@given(TIMES, st.lists(st.floats(0.1, 1e6), max_size=8))
def test_many_limits_at_once_and_the_sum(times: list[float], limits: list[float]) -> None:
    found, ordered = counted(times), sorted(limits)
    assert found.cumulative(ordered) == [
        sum(n for bucket, n in found._counts.items() if module._upper(bucket) <= limit)
        for limit in ordered
    ]
    assert sum(times) / 1.05 <= found.total_ms <= sum(times) * 1.05


def test_none_and_the_smallest() -> None:
    assert Latencies().percentile(0.95) is None
    assert Latencies.of("").answers == 0
    assert counted([0.0]).percentile(0.5) == 0.1
    assert counted([1, 10, 100]).cumulative([50]) == [2]
