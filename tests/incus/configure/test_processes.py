"""Time limits, interruptions and kills: what still runs afterwards, here and in the guest."""

import asyncio
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.configurebench import ConfigureBench

from phoenix_hypervisor.model.errors import (
    ConfigureFailed,
    TimedOut,
)

pytestmark = pytest.mark.incus


def test_an_operations_own_time_limit(bench: ConfigureBench) -> None:
    with pytest.raises(ConfigureFailed, match="second: Command failed") as caught:
        bench.run(("second", {"command": "echo waiting; sleep 4711", "limit_s": 1}))
    assert "waiting" in caught.value.detail
    assert "took longer than 1 s" in caught.value.detail
    assert bench.inside("pgrep -f 'sleep 471[1]'") == ""


def test_the_guests_time_limit_ends_the_command_inside(bench: ConfigureBench) -> None:
    bench.limit_s = 3
    with pytest.raises(TimedOut, match="second: Command was not done") as caught:
        bench.run(("second", {"command": "echo still here; setsid sleep 4712 & sleep 4712"}))
    assert "still here" in caught.value.detail
    assert bench.inside("pgrep -f 'sleep 471[2]'; ls /run/phoenix") == ""


def test_a_feature_that_hangs_by_itself(
    bench: ConfigureBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phoenix_hypervisor.configure.runner._GRACE_S", 1.0)
    bench.limit_s = 2
    begun = time.monotonic()
    with pytest.raises(TimedOut, match="configuring it took longer than 2 s"):
        bench.run(("odd", {"text": "sleeps here"}))
    assert time.monotonic() - begun < 15


def test_an_interruption_ends_the_commands_inside(bench: ConfigureBench) -> None:
    async def interrupted() -> None:
        task = asyncio.create_task(bench.configure(("second", {"command": "echo up; sleep 4713"})))
        up = asyncio.Event()
        bench.hear["second: Command: up"] = up.set
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert bench.inside("pgrep -f 'sleep 471[3]'; ls /run/phoenix") == ""
    assert bench.run(("second", {})).ran == ("second",)


def test_the_event_loop_is_never_blocked(bench: ConfigureBench) -> None:
    gaps: list[float] = []

    async def watch() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    async def both() -> None:
        watching = asyncio.create_task(watch())
        await bench.configure(
            ("second", {"command": "for i in $(seq 2000); do echo $i; done; sleep 1"})
        )
        watching.cancel()

    asyncio.run(both())
    assert max(gaps) < 0.3


KILLED = """
import pickle, sys
bench = pickle.load(sys.stdin.buffer)
bench.tell = lambda text: print(text, flush=True)
command = "nohup sleep 4714 >/dev/null & echo up; sleep 4714"
bench.run(("probe", {}), ("second", {"command": command}))
"""


def test_a_killed_run_is_cleared_away_and_continued(bench: ConfigureBench) -> None:
    bench.inside("systemd-run --unit=foreign sleep 4715")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(bench))
    process.stdin.close()
    assert process.stdout is not None
    while b"second: Command: up" not in process.stdout.readline():
        assert process.poll() is None
    ours = _children(process.pid)
    assert len(ours) >= 2  # the fork server and the worker
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while any(_runs(pid) for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in ours if _runs(pid)] == []  # workers don't outlive Phoenix
    assert len(bench.inside("pgrep -f 'sleep 471[4]'").split()) >= 2  # but commands in the guest do

    result = bench.run(("probe", {}), ("second", {}))
    assert (result.ran, result.unchanged) == (("second",), ("probe",))
    assert "sleep" in result.found[0]
    assert re.match(
        r"run test\.[0-9a-f]{8} was broken off here; ended what it left running: .*sleep",
        bench.told[0],
    )
    assert bench.inside("pgrep -f 'sleep 471[4]'") == ""
    assert bench.inside("systemctl is-active foreign").strip() == "active"
    bench.inside("systemctl stop foreign")


def _children(pid: int) -> list[int]:
    """All descendants that are Python: the fork server, its workers, the resource tracker."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(entry.parent.name)
            found += [child, *_children(child)]
    return [each for each in found if b"python" in Path(f"/proc/{each}/cmdline").read_bytes()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
