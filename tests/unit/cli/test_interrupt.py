"""Ctrl-C and its relatives, on a simulated node whose steps take a while."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from unittest.mock import Mock

import pytest

from phoenix_hypervisor.cli import _interrupt

PHOENIX = Path(sys.executable).with_name("phoenix")
HYPERVISOR = {"hypervisor": {"stack": "interrupted", "pools": {"pool": {"size_gb": 5}}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = {"name": "eth0", "bridge": "br0", "ip": "10.9.8.7/24", "gw": "10.9.8.1"}
    guest = {
        "name": "web", "template": "debian-13-standard", "memory_mb": 256, "cores": 1,
        "storage_pool": "pool", "storage_size_gb": 2, "network_config": network,
    }  # fmt: skip
    (tmp_path / "phoenix_hypervisor_config.json").write_text(json.dumps(HYPERVISOR))
    (tmp_path / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": {"101": guest}}))
    return tmp_path


def _heard() -> None:
    """Under `nohup` the tests would hand down that they hear no SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def applying(
    folder: Path, *words: str, stdin: int | None = None, hangup: bool = True
) -> Iterator[subprocess.Popen[str]]:
    environ = {
        "PHOENIX_DIR": str(folder), "PHOENIX_ON": "sim", "NO_COLOR": "1",
        "PHOENIX_SIM_STATE": str(folder / "sim.json"), "PHOENIX_SIM_SECONDS": "create=30",
    }  # fmt: skip
    process = subprocess.Popen(
        [str(PHOENIX), "apply", *words],
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environ,
        preexec_fn=_heard if hangup else None,  # noqa: PLW1509 - no thread runs here
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(words: str, out: IO[str] | None) -> None:
    """Reads on until it says so."""
    assert out is not None
    said = ""
    while words not in said:
        letter = out.read(1)
        assert letter, f"it ended without {words!r}: {said}"
        said += letter


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_leaves_in_order_and_says_what_is_half_done(
    folder: Path, number: signal.Signals
) -> None:
    with applying(folder, "--yes") as process:
        wait_for("create started", process.stdout)
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130, out
    assert "half done: lxc/101: create had begun; the next apply finishes it" in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("number", "pause_s", "again"),
    [
        (signal.SIGTERM, 0.001, False),  # `timeout` tells a process, and its group
        (signal.SIGTERM, 0.5, True),
        (signal.SIGHUP, 0.001, False),
        (signal.SIGINT, 0.1, True),  # somebody presses twice
    ],
)
def test_a_signal_that_comes_twice_at_once_is_one_interruption(
    number: signal.Signals, pause_s: float, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    said: list[bytes] = []
    now = 1000.0
    monkeypatch.setattr("os.write", lambda _, text: said.append(text))
    monkeypatch.setattr("threading.Timer", Mock())
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch = _interrupt._Watch()
    watch.loop, watch.task = Mock(is_closed=lambda: False), Mock()
    watch._interrupted(number, None)
    now += pause_s
    watch._interrupted(number, None)
    assert bool(said) is again


def test_what_it_was_told_to_ignore_it_ignores(folder: Path) -> None:
    """As `nohup` does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with applying(folder, "--yes", hangup=False) as process:
            wait_for("create started", process.stdout)
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert process.poll() is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_at_the_question_is_a_no(folder: Path, number: signal.Signals) -> None:
    ours, theirs = pty.openpty()
    try:
        with applying(folder, stdin=theirs) as process:
            wait_for("Apply this?", process.stdout)
            process.send_signal(number)
            out, _ = process.communicate(timeout=20)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 130
    assert "Traceback" not in out
    assert not (folder / "sim.json").exists()
