"""Killed, interrupted, doubled: whatever happens to an apply, the next one converges."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e.stack import Stack, write
from tests.kills import processes
from tests.support import lab

from phoenix_hypervisor.cli._interrupt import GRACE_S

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

SLOW = """#!/bin/sh
set -e
trap '' TERM
echo "$1" >>/root/begun
if [ ! -e /root/quick ]; then exec sleep 4242; fi
echo "$1" >/root/ended
"""
GUESTS = {
    "201": {"template": "debian-13-standard", "application_script": "slow.sh"},
    "202": {"template": "debian-13-standard"},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("i")
    guests: dict[str, dict[str, Any]] = {ident: dict(words) for ident, words in GUESTS.items()}
    guests["201"]["application_script_args"] = ["it's “literal”; $(touch /root/injected)"]
    made = write(tmp_path_factory.mktemp("interrupted") / "folder", corner, guests)
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts" / "slow.sh").write_text(SLOW)
    try:
        yield made
    finally:
        lab.clear(corner.name)


@contextlib.contextmanager
def applying(stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """An apply in the background; whatever is left of it at the end is killed."""
    process = stack.start("apply", "--yes")
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(true: Callable[[], bool], what: str, limit_s: float = 90) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"not so after {limit_s} s: {what}"
        time.sleep(0.2)


def sleepers(stack: Stack, guest: str = "lxc-201", line: str = "sleep 4242") -> int:
    found = lab.incus(
        "exec", f"--project={stack.project}", guest, "--", "pgrep", "-c", "-f", line, check=False
    )
    return int(found or 0)


def made_slow(stack: Stack, word: str) -> None:
    """The script is due again, and never ends by itself."""
    lab.incus("exec", f"--project={stack.project}", "lxc-201", "--", "rm", "-f", "/root/quick")
    with stack.edit() as words:
        words["lxc_configs"]["201"]["application_script_args"] = [word]


def begun(stack: Stack) -> int:
    found = lab.incus("exec", f"--project={stack.project}", "lxc-201", "--", "cat", "/root/begun")
    return len(found.splitlines())


def test_two_at_once(stack: Stack) -> None:
    with applying(stack) as first:
        until(lambda: sleepers(stack) == 1, "the script runs")
        second = stack.run("apply", "--yes")
        assert second.returncode == 1
        assert "another apply works on stack" in second.stderr
        assert "since" in second.stderr
        assert f"(pid {first.pid})" in second.stderr


def test_after_kill_9_the_next_ends_what_was_left_running(stack: Stack) -> None:
    """The apply before was killed with its whole process group."""
    until(lambda: sleepers(stack) == 1, "the killed apply's command still runs in the guest")
    with applying(stack) as third:
        until(lambda: begun(stack) == 2, "the script was begun again")
        until(lambda: sleepers(stack) == 1, "the one that was left behind was ended", limit_s=10)
        third.send_signal(signal.SIGINT)
        out, _ = third.communicate(timeout=60)
        assert third.returncode == 130
        assert "half done: lxc/201" in out
        assert re.search(
            r"found: `phoenix apply` by \S+ on \S+ \(pid \d+\) since .* broken off", out
        )
        assert re.search(r"found: lxc/201: ended what a broken-off run left running: .*sleep", out)
    until(lambda: sleepers(stack) == 0, "an interrupted apply leaves nothing running")


def test_the_next_apply_converges_without_duplicates(stack: Stack) -> None:
    lab.incus("exec", f"--project={stack.project}", "lxc-201", "--", "touch", "/root/quick")
    stack.ok("apply", "--yes")
    assert stack.changes() == []
    names = [
        one["name"] for one in lab.query(f"/1.0/instances?recursion=1&project={stack.project}")
    ]
    assert sorted(names) == ["lxc-201", "lxc-202"]
    assert stack.inside("201", "cat /root/ended") == "it's “literal”; $(touch /root/injected)"
    assert stack.inside("201", "ls /root") == "begun\nended\nquick"


def test_a_second_ctrl_c_is_heard_at_once(stack: Stack) -> None:
    """The script does not hear TERM, so that one alone takes some seconds."""
    made_slow(stack, "second")
    with applying(stack) as process:
        until(lambda: sleepers(stack) == 1, "the script runs")
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        assert time.monotonic() - begun < GRACE_S + 4.0  # on a busy machine, too
        assert process.returncode == 130
        assert "interrupted again" in out
    until(lambda: sleepers(stack) == 0, "it is ended without it", limit_s=10)


def test_a_killed_worker_is_told_and_leaves_nothing_running(stack: Stack) -> None:
    made_slow(stack, "worker")
    with applying(stack) as process:
        until(lambda: sleepers(stack) == 1, "the script runs")
        [worker] = processes.workers(process.pid)
        os.kill(worker, signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "the worker process ended in the middle" in out
        assert sleepers(stack) == 0


def test_a_check_that_a_killed_apply_left_hanging_is_ended(stack: Stack) -> None:
    """Nothing is due in its guest any more: no step of the next apply comes there."""
    with stack.edit() as words:
        check = {"command": {"command": "sleep 4243", "timeout_s": 600}}
        words["lxc_configs"]["202"]["checks"] = [check]
        words["lxc_configs"]["201"].pop("application_script")
        words["lxc_configs"]["201"].pop("application_script_args")
    with applying(stack):
        until(lambda: sleepers(stack, "lxc-202", "sleep 4243") == 1, "the check hangs")
    with stack.edit() as words:
        words["lxc_configs"]["202"].pop("checks")
    assert sleepers(stack, "lxc-202", "sleep 4243") == 1
    done = stack.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    told = r"found: lxc/202: ended what a broken-off run left running: .*sleep"
    assert re.search(told, done.stderr)
    assert sleepers(stack, "lxc-202", "sleep 4243") == 0
    again = stack.run("apply", "--yes")
    assert "found:" not in again.stderr


def test_an_application_that_a_killed_apply_had_started_goes_on(stack: Stack) -> None:
    """Its guest was finished: nobody would start it again."""
    (stack.folder / "scripts" / "starts.sh").write_text(
        "#!/bin/sh\nnohup sleep 4244 >/dev/null 2>&1 </dev/null &\n"
    )
    with stack.edit() as words:
        words["lxc_configs"]["201"]["application_script"] = "starts.sh"
        check = {"command": {"command": "sleep 4243", "timeout_s": 600}}
        words["lxc_configs"]["202"]["checks"] = [check]
    with applying(stack) as process:
        until(lambda: sleepers(stack, "lxc-202", "sleep 4243") == 1, "the check hangs")
        until(lambda: sleepers(stack, "lxc-201", "sleep 4244") == 1, "the application runs")
        note = ("exec", f"--project={stack.project}", "lxc-201", "--", "ls", "/run/phoenix")
        until(lambda: lab.incus(*note).split() == [], "its guest is finished")
        assert process.poll() is None
    with stack.edit() as words:
        words["lxc_configs"]["202"].pop("checks")
    done = stack.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert "found: lxc/202: ended" in done.stderr
    assert sleepers(stack, "lxc-202", "sleep 4243") == 0
    assert sleepers(stack, "lxc-201", "sleep 4244") == 1
    with stack.edit() as words:
        words["lxc_configs"]["201"].pop("application_script")
    stack.ok("apply", "--yes")


@pytest.mark.parametrize("after_s", [0.6, 2.0])
def test_killed_while_guests_are_made(stack: Stack, after_s: float) -> None:
    stack.ok("destroy", "202", "--yes")
    with applying(stack):
        time.sleep(after_s)
    stack.ok("apply", "--yes")
    assert stack.changes() == []
    instance = lab.query(f"/1.0/instances/lxc-202?project={stack.project}")
    assert instance["status"] == "Running"


def test_a_failing_script_tells_its_own_words_and_spares_the_others(stack: Stack) -> None:
    with stack.edit() as words:
        words["lxc_configs"]["202"]["memory_mb"] = 320
        words["lxc_configs"]["202"]["application_script"] = "fails.sh"
    (stack.folder / "scripts" / "fails.sh").write_text(
        "#!/bin/sh\necho the disk is on fire >&2\nexit 9\n"
    )
    with stack.edit() as words:
        words["lxc_configs"]["201"]["memory_mb"] = 320
    done = stack.run("apply", "--yes")
    assert done.returncode == 1
    assert "the disk is on fire" in done.stderr
    assert stack.changes() == [("lxc/202", "configure", "live")]
    with stack.edit() as words:
        del words["lxc_configs"]["202"]["application_script"]
    stack.run("apply", "--yes")


def test_a_guest_made_by_hand_is_refused_and_untouched(stack: Stack) -> None:
    by_hand = "lxc-203"
    lab.incus(
        "create", "--empty", by_hand, "--project", stack.project, "--storage", stack.lab.name,
        "--no-profiles",
    )  # fmt: skip
    before = lab.query(f"/1.0/instances/{by_hand}?project={stack.project}")
    with stack.edit() as words:
        words["lxc_configs"]["203"] = words["lxc_configs"]["202"] | {"name": "guest203"}
        network = dict(words["lxc_configs"]["202"]["network_config"])
        words["lxc_configs"]["203"]["network_config"] = network | {
            "ip": f"{stack.lab.subnet()}.99/24"
        }
    plan = stack.run("--json", "plan")
    assert plan.returncode == 1
    done = stack.run("apply", "--yes")
    assert done.returncode == 1
    assert "lxc/203: the id is taken" in done.stderr
    assert lab.query(f"/1.0/instances/{by_hand}?project={stack.project}") == before
    assert "lxc/203" in stack.json("plan")["unmanaged"]


def test_a_subnet_that_is_routed_elsewhere_is_refused(stack: Stack) -> None:
    text = (stack.folder / "phoenix_lxc_configs.json").read_text()
    with stack.edit() as words:
        network = words["lxc_configs"]["202"]["network_config"]
        network["bridge"] = "phxnever0"
    try:
        refused = stack.run("apply", "--yes")
        assert refused.returncode == 1
        assert "already routes" in refused.stderr
    finally:
        (stack.folder / "phoenix_lxc_configs.json").write_text(text)
