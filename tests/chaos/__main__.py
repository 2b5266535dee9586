"""`python -m tests.chaos [--minutes 30] [--write]` (`make chaos`): breaks running stacks, on Incus.

Brings up the quickstart and two replicas behind a proxy, watches both with `phoenix watch`, and
brings one fault after the other over them. Nobody mends anything but systemd and that watcher;
clients measure from outside what is felt of it. With --write the tables go into docs/benchmarks.md.
The exit status is 1 where a goal is missed.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos import faults, measure, table
from tests.chaos.measure import Run
from tests.chaos.play import Wishes, play
from tests.e2e.stack import ROOT
from tests.support import lab

LETTERS = ("a", "j")
_PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- chaos -->", "<!-- /chaos -->"


def main() -> int:
    """Plays what is asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=tuple(faults.HIT), default=tuple(faults.HIT))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # then the corners are cleared too
    lab.clear_after_killed_runs()
    count = max(1, round(asked.minutes * 60 / asked.every))
    wishes = Wishes(count, asked.every, asked.seed, tuple(asked.kinds))
    kinds = len(asked.kinds)
    say(f"to come: {count} of {kinds} kinds, one each {asked.every:g} s, seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="phoenix-chaos-") as place:
        run = play(Path(place), LETTERS, wishes, say)
    missed = told(run)
    if asked.write:
        write(run)
    return 1 if missed else 0


def told(run: Run) -> list[str]:
    """Prints the tables; the goals that were missed, and what broke the run off."""
    goals = measure.goals(run)
    say(f"\n{table.tables(run, goals)}\n")
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {run.took_s:.0f} s of faults")
    missed = [f"{goal.what}: {goal.found}" for goal in goals if goal.met is False]
    for one in (*missed, *run.flaws):
        say(f"goal missed: {one}" if one in missed else f"disturbed: {one}")
    return [*missed, *run.flaws]


def say(line: str) -> None:
    """Prints at once, also into a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def write(run: Run) -> None:
    """Puts the tables into their place in the page."""
    text = _PAGE.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if not pattern.search(text):
        raise RuntimeError(f"docs/benchmarks.md has no place for it: {_BEGIN} … {_END}")
    head = (
        f"{len(run.outcomes)} faults in {run.took_s / 60:.0f} minutes, seed {run.seed}, "
        f"on {os.cpu_count()} cores:"
    )
    body = f"{_BEGIN}\n\n{head}\n\n{table.tables(run, measure.goals(run))}\n\n{_END}"
    _PAGE.write_text(pattern.sub(lambda _: body, text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
