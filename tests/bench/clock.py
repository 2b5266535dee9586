"""Runs programs and work several times and keeps what says most on a shared machine."""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_LIMIT_S = 600


@dataclass(frozen=True)
class Row:
    """One measurement: what took how many seconds, and how it compares with another.

    `ratio` is the number that counts; `goal` says what it is to be: at most or, where `faster`,
    at least.
    """

    what: str
    seconds: float
    compared: str = ""
    ratio: float | None = None
    goal: float | None = None
    faster: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.ratio is None or self.goal is None:
            return None
        return self.ratio >= self.goal if self.faster else self.ratio <= self.goal


def run(
    argv: Sequence[str],
    environ: Mapping[str, str] | None = None,
    statuses: Sequence[int] = (0,),
    stdin: str = "",
) -> str:
    """Runs a program to its end and gives what it printed; it must end with one of `statuses`."""
    done = subprocess.run(
        argv,
        env={**os.environ, **(environ or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    if done.returncode not in statuses:
        said = f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{said}")
    return done.stdout


def spent() -> float:
    """Seconds of processor time that all ended programs have taken so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def once(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that one run takes, by the clock or, with `spent`, of the processor."""
    begin = clock()
    work()
    return clock() - begin


def in_turns(
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each work in each round. They take turns, so that what else the machine does
    falls on all of them; a first round warms up and does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            took = once(work, clock)
            if number:
                taken[name].append(took)
    return taken


def medians(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(each) for name, each in taken.items()}


def times(ratio: float) -> str:
    """`1.15 x`, `2.1 x`, `21 x`."""
    if ratio < 1.95:  # the second digit behind the point still says something
        return f"{ratio:.2f} x"
    return f"{ratio:.1f} x" if ratio < 10 else f"{ratio:.0f} x"
