"""Folders and programs that a killed process leaves behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from phoenix_hypervisor.shell import scratch

HOLDER = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from phoenix_hypervisor.shell import scratch
with scratch.folder("phx-") as made:
    (made / "file").write_text("much")
    print(made, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_goes_at_the_end(place: Path) -> None:
    with scratch.folder("phx-") as made:
        (made / "file").touch()
        assert list(place.iterdir()) == [made]
    assert list(place.iterdir()) == []


def test_only_what_a_killed_process_left_is_removed(place: Path) -> None:
    (place / "phx-file").touch()
    (place / "other-folder").mkdir()
    (place / "phx-link").symlink_to(place / "other-folder")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        time.sleep(scratch._YOUNG_S + 0.1)
        with scratch.folder("phx-"):
            assert (left / "file").exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert left.exists()
        with scratch.folder("phx-"):
            assert not left.exists()
    assert {path.name for path in place.iterdir()} == {"phx-file", "phx-link", "other-folder"}


def test_a_program_ends_with_the_one_who_started_it() -> None:
    program = [*scratch.ending_with_us(), "sleep", "60"]
    script = (
        f"import subprocess, time; print(subprocess.Popen({program!r}).pid, flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
            time.sleep(0.02)
        starter.kill()
        starter.wait()
        end = time.monotonic() + 5
        while runs(pid) and time.monotonic() < end:
            time.sleep(0.05)
        if there := runs(pid):
            os.kill(pid, signal.SIGKILL)
        assert not there


def runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
