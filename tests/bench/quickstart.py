"""An apply of the quickstart when all is as it should be: looks, plans, and asks all checks."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench.clock import Row, once
from tests.e2e.stack import ROOT, copy_of, environ_secrets
from tests.support import lab

_RUNS = 9
_LIMIT_S = 1.0


def rows(folder: Path) -> Iterator[Row]:
    """The first apply, and the best and the median of the next ones, by the clock."""
    corner = lab.Lab("q")
    replaced = {
        "10.98.76": corner.subnet(),
        "phxquick0": corner.name,
        "phoenix-quickstart": corner.name,
    }
    stack = copy_of(ROOT / "examples" / "quickstart", folder, corner, replaced)
    secret = "only-for-measuring"
    environ_secrets(folder, PORTFOLIO_DB_PASSWORD=secret, LLM_API_KEY=secret)
    try:
        first = once(lambda: stack.ok("apply", "--yes"))
        taken = sorted(once(lambda: stack.ok("apply", "--yes")) for _ in range(_RUNS))
    finally:
        lab.clear(corner.name)
    yield Row("first `phoenix apply` of the quickstart", first)
    best, median = taken[0], taken[len(taken) // 2]
    told = f"{best:.2f} s at best"
    yield Row("`phoenix apply` with nothing to do", median, told, best, goal=_LIMIT_S)
