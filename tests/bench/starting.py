"""How long the command line takes to start: what every command pays."""

import sys
from collections.abc import Iterator

from tests.bench.clock import Row, cpu_ms, times
from tests.e2e.stack import PHOENIX


def rows() -> Iterator[Row]:
    """An empty Python, and the command line that only shows its help or its version."""
    python = cpu_ms([sys.executable, "-c", "pass"], runs=11)
    yield Row("`python -c pass`", python)
    for words in (["--version"], ["--help"]):
        took = cpu_ms([str(PHOENIX), *words])
        yield Row(f"`phoenix {words[0]}`", took, f"{times(took, python)} `python -c pass`")
