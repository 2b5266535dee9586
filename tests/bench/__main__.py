"""`python -m tests.bench` (`make bench`): the measurements of docs/benchmarks.md, as its tables.

Under two minutes in all. Only the ratios mean something elsewhere: absolute times are this
machine's, at this moment.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.bench import proxmox, roundtrip, scale, starting
from tests.bench.clock import Row


def main() -> None:
    """Prints a table for each subject."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="phoenix-bench-") as name:
        folder = Path(name)
        _show("Starting (processor time)", starting.rows())
        _show("Scale: nothing to change, on sim (processor time)", scale.rows(folder))
        _show("Proxmox VE's double (by the clock)", proxmox.rows(folder))
        if os.geteuid() == 0:
            _show("A command in a guest (by the clock)", roundtrip.rows(folder / "guest"))
        else:
            _say("A command in a guest: not measured, since it needs root and Incus\n")
    _say(f"{os.cpu_count()} cores; {time.monotonic() - begin:.0f} s in all")


def _show(title: str, rows: Iterable[Row]) -> None:
    _say(f"### {title}\n\n| what | median | compared |\n|---|---|---|")
    for row in rows:
        _say(f"| {row.what} | {row.median_ms:.3g} ms | {row.compared} |")
    _say("")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
