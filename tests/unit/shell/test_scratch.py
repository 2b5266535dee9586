"""Folders and programs that a killed process leaves behind."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t-") as short:  # one of pytest's is too long
        monkeypatch.setattr(tempfile, "tempdir", short)
        yield Path(short)


@pytest.fixture
def ours(place: Path) -> Path:
    return place / f"phx-{os.geteuid()}"


def test_it_goes_at_the_end(ours: Path) -> None:
    with scratch.folder("phx-") as made:
        (made / "file").touch()
        assert list(ours.iterdir()) == [made]
        assert stat.S_IMODE(ours.stat().st_mode) == 0o700
        with scratch.folder("phx-") as second:
            assert {*ours.iterdir()} == {made, second}
        assert list(ours.iterdir()) == [made]
    assert list(ours.parent.iterdir()) == []


@contextmanager
def holder(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_only_what_a_killed_process_left_is_removed(place: Path, ours: Path) -> None:
    with holder(place) as (process, left):
        with scratch.folder("phx-"):
            assert (left / "file").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert left.exists()
        (ours / "other-folder").mkdir()
        (ours / "phx-link").symlink_to(ours / "other-folder")
        with scratch.folder("phx-"):
            assert not left.exists()
    assert {path.name for path in ours.iterdir()} == {"phx-link", "other-folder"}


def test_folders_that_are_not_its_own_stay(place: Path, ours: Path) -> None:
    """Also old ones that are named alike and that nobody holds."""
    others = [place / "phx-projects", place / "phx-12345678"]
    for other in others:
        other.mkdir()
        (other / "file").touch()
        os.utime(other, (0, 0))
    with scratch.folder("phx-") as made:
        assert made.parent == ours
    assert all((other / "file").exists() for other in others)


@pytest.mark.parametrize("trap", ["open to others", "a link", "a file"])
def test_in_a_place_that_somebody_else_has_taken_nothing_is_removed(
    place: Path, ours: Path, trap: str
) -> None:
    theirs = place / "theirs"
    (theirs / "phx-12345678").mkdir(parents=True)
    if trap == "open to others":
        theirs.rename(ours)
        ours.chmod(0o755)
        theirs = ours
    elif trap == "a link":
        theirs.chmod(0o700)
        ours.symlink_to(theirs)
    else:
        ours.touch()
    with scratch.folder("phx-") as made:
        assert made.parent == place
    assert not made.exists()
    assert (theirs / "phx-12345678").exists()


def test_who_is_stopped_while_it_has_the_turn_stops_nobody(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_TURN_S", 0.1)
    ours.mkdir(mode=0o700)
    left = ours / "phx-12345678"  # perhaps just made
    left.mkdir()
    fd = os.open(ours, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with scratch.folder("phx-") as made:
            assert made.parent != ours
            assert left.exists()
    finally:
        os.close(fd)
    with scratch.folder("phx-"):
        assert not left.exists()


def test_a_place_that_another_one_removes_meanwhile_is_made_again(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = scratch._lock, list[int]()

    def removed(fd: int, limit_s: float) -> None:
        lock(fd, limit_s)
        taken.append(fd)
        if len(taken) == 1:
            ours.rmdir()

    monkeypatch.setattr(scratch, "_lock", removed)
    with scratch.folder("phx-") as made:
        assert made.parent == ours


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
    file = Path(f"/proc/{pid}/stat")
    try:
        return file.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_place_whose_name_is_too_long_for_sockets_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with scratch.folder("phx-test-") as made:
        assert made.parts[:2] == ("/", "tmp")
        assert list(long.iterdir()) == []
