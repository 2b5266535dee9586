"""What this machine has, against what its own tools tell."""

import subprocess
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers.incus import machine


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_as_the_tools_tell_it() -> None:
    assert machine.cores() == int(told("getconf", "_NPROCESSORS_ONLN"))
    assert machine.memory_mb() == pytest.approx(int(told("free", "--mebi").split()[7]), abs=2)


def test_used_memory(tmp_path: Path) -> None:
    used = machine.used_memory_mb()
    assert used is not None
    assert 0 < used < machine.memory_mb()
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\nMemFree: 10 kB\nMemAvailable: 1024 kB\n")
    assert machine.used_memory_mb(tmp_path / "meminfo") == 3
    (tmp_path / "old").write_text("MemTotal: 4096 kB\nMemFree: 10 kB\n")
    assert machine.used_memory_mb(tmp_path / "old") is None
