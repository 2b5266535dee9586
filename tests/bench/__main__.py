"""`python -m tests.bench [SECTION …] [--write]` (`make bench`): measures, and prints tables.

About ten minutes in all; SECTION measures only that one. Only the ratios mean something elsewhere:
absolute times are this machine's, at this moment. With --write the tables go into
docs/benchmarks.md and their pictures into docs/images. The exit status is 1 where a goal is not
reached.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import clones, inside, proxmox, quickstart, roundtrip, scale, starting, watching
from tests.bench.clock import Row
from tests.bench.picture import chart, seconds
from tests.e2e.stack import ROOT
from tests.support import lab

_PAGE = ROOT / "docs" / "benchmarks.md"
_HEAD = "| what | takes | compared | goal |\n|---|---|---|---|"


@dataclass(frozen=True)
class Section:
    """One subject; `real`: it needs root and Incus."""

    title: str
    measure: Callable[[Path], Iterable[Row]]
    real: bool = False


SECTIONS = {
    "starting": Section("Starting (processor time)", starting.rows),
    "scale": Section("Plans of many guests, on sim", scale.rows),
    "watching": Section("Watching many guests, on sim", watching.rows),
    "proxmox": Section("Proxmox VE's double", proxmox.rows),
    "roundtrip": Section("A command in a guest", roundtrip.rows, real=True),
    "clones": Section("Clones", clones.rows, real=True),
    "quickstart": Section("The quickstart", quickstart.rows, real=True),
    "inside": Section("25 operations in 5 containers", inside.rows, real=True),
}


def main() -> int:
    """Measures what is asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, pictures")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    begin = time.monotonic()
    missed: list[str] = []
    if os.geteuid() == 0:
        lab.clear_after_killed_runs()
    for name in asked.sections or SECTIONS:
        section = SECTIONS[name]
        if section.real and os.geteuid() != 0:
            _say(f"{section.title}: not measured, since it needs root and Incus\n")
            continue
        with tempfile.TemporaryDirectory(prefix="phoenix-bench-") as place:
            rows = tuple(section.measure(Path(place) / "folder"))
        missed += [f"{section.title}: {row.what}" for row in rows if row.met is False]
        _say(f"### {section.title}\n\n{_table(rows)}\n")
        if asked.write:
            _write(name, section.title, rows)
    load = os.getloadavg()[0]
    _say(f"{os.cpu_count()} cores, load {load:.1f}; {time.monotonic() - begin:.0f} s in all")
    for one in missed:
        _say(f"goal missed: {one}")
    return 1 if missed else 0


def _table(rows: Sequence[Row]) -> str:
    lines = [_HEAD]
    for row in rows:
        told = f"**{row.compared}**" if row.goal is not None else row.compared
        lines.append(f"| {row.what} | {seconds(row.seconds)} | {told} | {_goal(row)} |")
    return "\n".join(lines)


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    words = f"{'at least' if row.faster else 'at most'} {row.goal:g}"
    return words if row.met else f"{words}: missed"


def _write(name: str, title: str, rows: Sequence[Row]) -> None:
    picture = f"images/bench-{name}.svg"
    (_PAGE.parent / picture).write_text(chart(title, rows), encoding="utf-8")
    text = _PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    body = f"{begin}\n\n{_table(rows)}\n\n![{title}]({picture})\n\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise RuntimeError(f"docs/benchmarks.md has no place for {name}: {begin} … {end}")
    _PAGE.write_text(pattern.sub(lambda _: body, text), encoding="utf-8")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
