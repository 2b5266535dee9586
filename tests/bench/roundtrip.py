"""What one command in a guest costs: over the persistent shell, and with a process for each."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench.clock import Row, run, wall_ms
from tests.e2e.stack import write
from tests.support import lab

from phoenix_hypervisor.shell import Shell

_AT_ONCE = 100


def rows(folder: Path) -> Iterator[Row]:
    """`true` in a container of our own, which is removed again."""
    corner = lab.Lab("b")
    try:
        stack = write(folder, corner, {"101": {"template": "debian-13-standard"}})
        stack.ok("apply", "--yes")
        way_in = ["incus", "exec", f"--project={corner.name}", "-T", "lxc-101", "--"]
        each = wall_ms(lambda: run([*way_in, "true"]), runs=30)
        with Shell([*way_in, "sh"]) as shell:

            def many() -> None:
                for _ in range(_AT_ONCE):
                    shell.run("true", timeout_s=10)

            kept = wall_ms(many, runs=5) / _AT_ONCE
    finally:
        lab.clear(corner.name)
    yield Row("`incus exec … true`, a process each", each)
    yield Row("`true` over one persistent `Shell`", kept, f"1/{each / kept:.0f} of a process each")
