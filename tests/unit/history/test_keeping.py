"""What is kept of runs, who may read it, and what is forgotten."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.history.runs import WEB, begun, event, keep

from phoenix_hypervisor.cli._secrets import whose
from phoenix_hypervisor.history import database, origin, reading, thinning
from phoenix_hypervisor.history.recorder import Recorder
from phoenix_hypervisor.model.errors import NotFound

STEPS = [
    event("started", "create", 0.0),
    event("progress", "create", 0.5, "copying"),
    event("finished", "create", 2.5),
    event("started", "start", 3.0),
    event("finished", "start", 4.0),
    event("started", "start", 5.0),
    event("retry", "start", 6.0, "once more"),
    event("finished", "start", 9.0),
]


def test_a_run_is_kept_whole(tmp_path: Path) -> None:
    assert keep(tmp_path, "aaa", STEPS) == ""
    run = reading.run(tmp_path, "aa")
    assert (run.id, run.command, run.target) == ("aaa", "phoenix apply --yes", "sim")
    assert (run.stack, run.version, run.result, run.error) == ("lab", "1", "ok", "")
    assert (run.summary, run.plan, run.report) == ({"create": 1}, {"changes": []}, {"ok": True})
    assert run.took_s is not None
    assert 0 <= run.took_s < 5
    assert (run.who, run.host) == (origin.user(), os.uname().nodename)
    assert [(e["event"], e["step"], e["elapsed_s"], e["message"]) for e in run.events] == [
        (e.event, e.step, e.elapsed_s, e.message) for e in STEPS
    ]


def test_nothing_is_kept_yet(tmp_path: Path) -> None:
    assert reading.runs(tmp_path, 5) == []
    assert reading.samples(tmp_path, "sim") == []
    assert not database.path(tmp_path).parent.exists()
    with pytest.raises(NotFound, match="no run last is known"):
        reading.run(tmp_path, "last")


def test_the_newest_comes_first(tmp_path: Path) -> None:
    for ident in ("aab", "aac", "aad"):
        keep(tmp_path, ident)
    assert [run.id for run in reading.runs(tmp_path, 2)] == ["aad", "aac"]
    assert reading.run(tmp_path, "last").id == "aad"
    with pytest.raises(NotFound, match="several runs begin with aa"):
        reading.run(tmp_path, "aa")
    with pytest.raises(NotFound, match="no run % is known"):
        reading.run(tmp_path, "%")


def test_only_this_user_may_read_it_and_git_does_not_take_it(tmp_path: Path) -> None:
    keep(tmp_path, "aaa")
    file = database.path(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert (file.parent / ".gitignore").read_text() == "*\n"


def test_how_long_steps_took(tmp_path: Path) -> None:
    keep(tmp_path, "aaa", STEPS)
    keep(tmp_path, "aab", [event("started", "create", 1.0), event("failed", "create", 9.0)])
    keep(tmp_path, "aac", [event("started", "create", 1.0), event("finished", "create", 2.0)])
    keep(tmp_path, "aad", STEPS, target="incus")
    assert reading.samples(tmp_path, "sim") == [
        ("create a", WEB, 1.0),
        ("start b", WEB, 4.0),
        ("start a", WEB, 1.0),
        ("create a", WEB, 2.5),
    ]


def test_it_is_written_as_it_goes_and_a_killed_run_says_so(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.unit.history.runs import *;"
        "one = Recorder(Path(sys.argv[1]), begun('aaa'));"
        "one.take(event('started', 'create', 0.0)); time.sleep(60)"
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env=environ,
    ) as process:
        try:
            until = time.monotonic() + 20
            while (
                not (runs := reading.runs(tmp_path, 1)) or not reading.run(tmp_path, "last").events
            ):
                assert time.monotonic() < until
                time.sleep(0.05)
            assert (runs[0].result, runs[0].ended) == ("running", None)
        finally:
            process.send_signal(signal.SIGKILL)
    run = reading.run(tmp_path, "last")
    assert (run.result, run.ended, len(run.events)) == ("killed", None, 1)
    assert keep(tmp_path, "aab") == ""
    assert [one.result for one in reading.runs(tmp_path, 5)] == ["ok", "killed"]


def test_a_run_on_another_machine_may_still_go_on(tmp_path: Path) -> None:
    assert origin.lives("elsewhere", origin.process()) is None
    assert origin.lives(os.uname().nodename, origin.process()) is True
    assert origin.lives(os.uname().nodename, f"{os.getpid()} of-another-boot 17") is False


def test_the_commit(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert origin.commit(folder) is None

    def git(*words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        done = subprocess.run(
            ["git", *who, "-C", str(tmp_path), *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    assert origin.commit(folder) is None
    (folder / "a.json").write_text("{}")
    git("add", "folder")
    git("commit", "--quiet", "-m", "one")
    ident = git("rev-parse", "HEAD")
    assert origin.commit(folder) == origin.Commit(ident, dirty=False)
    (tmp_path / "beside").write_text("not of the folder")
    assert origin.commit(folder) == origin.Commit(ident, dirty=False)
    keep(folder, "aaa")
    assert reading.run(folder, "aaa").commit == ident
    assert reading.run(folder, "aaa").dirty is False
    (folder / "b.json").write_text("{}")
    keep(folder, "aab")
    assert reading.run(folder, "aab").dirty is True


def test_a_user_that_the_machine_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 424242)
    monkeypatch.setattr(os, "geteuid", lambda: 424242)
    assert origin.user() == "424242"
    assert whose() == f"424242@{os.uname().nodename}"
    monkeypatch.setenv("SUDO_USER", "fred")
    assert origin.user() == "fred (as 424242)"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin.commit(tmp_path) is None


def test_old_runs_are_forgotten(tmp_path: Path) -> None:
    for number in range(4):
        keep(tmp_path, f"work{number}", [event("started", "create", 0, "x" * 1000)])
        keep(tmp_path, f"idle{number}", summary={})
    keep(tmp_path, "failed", result="failed", summary={})
    with closing(database.create(tmp_path)) as found:
        thinning.thin(found, runs=3, idle=2)
        assert [run.id for run in reading.runs(tmp_path, 9)] == [
            "failed",
            "idle3",
            "work3",
            "idle2",
            "work2",
        ]
        assert found.execute("SELECT count(*) FROM event").fetchone() == (2,)
        thinning.thin(found, weight=1500)
    last, heavy = reading.run(tmp_path, "work3"), reading.run(tmp_path, "work2")
    assert (last.plan, len(last.events)) == ({"changes": []}, 1)
    assert (heavy.plan, heavy.events, heavy.summary) == (None, (), {"create": 1})


def test_a_plan_that_is_too_big_for_the_rest_stays_itself(tmp_path: Path) -> None:
    keep(tmp_path, "small")
    keep(tmp_path, "big", plan=lambda: {"changes": ["x" * 5000]})
    with closing(database.create(tmp_path)) as found:
        thinning.thin(found, weight=1000)
    assert reading.run(tmp_path, "big").plan == {"changes": ["x" * 5000]}
    assert reading.run(tmp_path, "small").plan is None


def test_two_at_once(tmp_path: Path) -> None:
    both = [Recorder(tmp_path, begun(ident)) for ident in ("aaa", "bbb")]
    for number in range(2000):
        for recorder in both:
            recorder.take(event("progress", "create", number, f"line {number}"))
    for recorder in both:
        recorder.end("ok")
    assert [recorder.trouble for recorder in both] == ["", ""]
    for ident in ("aaa", "bbb"):
        run = reading.run(tmp_path, ident)
        assert (run.result, len(run.events)) == ("ok", 2000)


def test_keeping_an_event_costs_hardly_anything(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, begun("aaa"))
    one = event("progress", "create", 1.0, "a line as commands tell them")
    start = time.thread_time()
    for _ in range(10_000):
        recorder.take(one)
    assert time.thread_time() - start < 0.2  # it is 2 ms
    recorder.end("ok")
    assert len(reading.run(tmp_path, "aaa").events) == 10_000


def test_the_file_gets_smaller_again(tmp_path: Path) -> None:
    keep(tmp_path, "big", plan=lambda: {"changes": ["x" * 1_000_000]})
    before = database.path(tmp_path).stat().st_size
    for number in range(3):
        keep(tmp_path, f"more{number}")
    with closing(database.create(tmp_path)) as found:
        thinning.thin(found, runs=2)
    assert database.path(tmp_path).stat().st_size < before / 4


def test_sqlite_itself_finds_it_whole(tmp_path: Path) -> None:
    keep(tmp_path, "aaa", STEPS)
    copy = shutil.copy(database.path(tmp_path), tmp_path / "copy")
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert found.execute("PRAGMA foreign_key_check").fetchall() == []
