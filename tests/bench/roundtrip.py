"""What one command in a guest costs: over the persistent shell, and with a process for each."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench.clock import Row, in_turns, medians, run, times
from tests.e2e.stack import write
from tests.support import lab

from phoenix_hypervisor.shell import Shell

_AT_ONCE = 20
_ROUNDS = 30


def rows(folder: Path) -> Iterator[Row]:
    """`true` in a container of our own, which is removed again. Medians by the clock."""
    corner = lab.Lab("b")
    try:
        stack = write(folder, corner, {"101": {"template": "debian-13-standard"}})
        stack.ok("apply", "--yes")
        way_in = ["incus", "exec", f"--project={corner.name}", "-T", "lxc-101", "--"]
        with Shell([*way_in, "sh"]) as shell:

            def many() -> None:
                for _ in range(_AT_ONCE):
                    shell.run("true", timeout_s=10)

            works = {"each": lambda: run([*way_in, "true"]), "kept": many}
            took = medians(in_turns(works, _ROUNDS))
    finally:
        lab.clear(corner.name)
    kept = took["kept"] / _AT_ONCE
    ratio = took["each"] / kept
    yield Row("`incus exec … true`, a process each", took["each"])
    what = "`true` over one persistent `Shell`"
    yield Row(what, kept, f"{times(ratio)} as fast", ratio, goal=20, faster=True)
