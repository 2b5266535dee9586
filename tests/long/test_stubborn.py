"""A guest that takes its time to stop is waited for, and then stopped hard."""

from collections.abc import Iterator

import pytest
from tests.e2e.stack import Stack, write
from tests.support import lab

pytestmark = [
    pytest.mark.long,
    pytest.mark.incus,
    pytest.mark.usefixtures("incus_daemon"),
]

SLOW_S = 30  # more than Incus's client waits for at a time
UNIT = f"""[Service]
ExecStart=/bin/sh -c 'trap : TERM; while :; do sleep 1; done'
TimeoutStopSec={SLOW_S}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("g")
    guests = {"201": {"name": "slow", "template": "debian-13-standard"}}
    made = write(tmp_path_factory.mktemp("stubborn") / "folder", corner, guests)
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def test_a_guest_that_stops_slowly(stack: Stack) -> None:
    stack.inside(
        "slow",
        f"printf %b {UNIT!r} >/etc/systemd/system/slow.service;"
        " systemctl daemon-reload; systemctl start slow",
    )
    with stack.edit() as words:
        words["lxc_configs"]["201"]["pct_options"] = ["nesting=1"]
    assert stack.changes() == [("lxc/201", "update", "restart")]
    said = stack.ok("apply", "--yes")
    assert "stop finished" in said
    assert stack.changes() == []
