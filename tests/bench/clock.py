"""Medians of several runs, since a single one on a shared machine says little."""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement: what, its median in milliseconds, and how it compares."""

    what: str
    median_ms: float
    compared: str = ""


def run(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
    """Runs a program to its end; it must succeed."""
    subprocess.run(
        argv,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=120,
    )


def cpu_ms(argv: Sequence[str], environ: Mapping[str, str] | None = None, runs: int = 5) -> float:
    """The median of the processor's time that a program takes, in milliseconds.

    For programs that compute and hardly wait: what else the machine does matters less.
    """

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    run(argv, environ)  # warms caches
    taken = []
    for _ in range(runs):
        before = spent()
        run(argv, environ)
        taken.append(spent() - before)
    return statistics.median(taken) * 1000


def wall_ms(work: Callable[[], object], runs: int) -> float:
    """The median time of `work` by the clock, in milliseconds."""
    work()
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


def times(one: float, other: float) -> str:
    """How much more `one` is than `other`: `2.1 x`, `21 x`."""
    ratio = one / other
    return f"{ratio:.1f} x" if ratio < 10 else f"{ratio:.0f} x"
