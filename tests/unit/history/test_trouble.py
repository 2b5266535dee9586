"""A history that can't be used costs itself alone: one warning, and the run goes on."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from tests.unit.cli.test_commands import Cli
from tests.unit.history.runs import begun, event, keep

from phoenix_hypervisor.cli import main
from phoenix_hypervisor.history import Notebook, database, reading
from phoenix_hypervisor.history import recorder as recording
from phoenix_hypervisor.history.recorder import Recorder
from phoenix_hypervisor.model.errors import PhoenixError

Spoil = Callable[[Path], object]
Run = Callable[..., tuple[int, str, str]]


def garbage(file: Path) -> None:
    file.write_bytes(b"this is no database\n" * 500)


def cut(file: Path) -> None:
    with file.open("r+b") as whole:
        whole.truncate(file.stat().st_size // 2)


def holes(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as whole:
        whole.seek(4096)
        whole.write(b"\xa5" * (size - 4096))


def of_the_future(file: Path) -> None:
    with closing(sqlite3.connect(file)) as found:
        found.execute("PRAGMA user_version = 99")
        found.execute("DROP TABLE event")


def other_tables(file: Path) -> None:
    with closing(sqlite3.connect(file)) as found:
        found.execute("DROP TABLE sample")
        found.execute("ALTER TABLE run RENAME TO ran")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def no_folder(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.write_text("in the way")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


BAD: list[Spoil] = [garbage, cut, holes, of_the_future, other_tables, a_folder, a_link, no_folder]


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The command line in this process, on a folder with a run in its history."""
    made = Cli(tmp_path)
    made.guest("101", features=["nginx"])
    made.guest("102")
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "sim.json"))

    def run(*words: str) -> tuple[int, str, str]:
        status = main.run(["--dir", str(tmp_path), "--on", "sim", *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    assert run("apply", "--yes", "--target", "102")[0] == 0
    return run


@pytest.mark.parametrize("spoil", [*BAD, locked], ids=lambda spoil: spoil.__name__)
def test_an_apply_goes_on_and_says_so_once(here: Run, tmp_path: Path, spoil: Spoil) -> None:
    spoiled = spoil(database.path(tmp_path))
    with spoiled if spoil is locked else nullcontext():  # type: ignore[attr-defined]
        status, out, err = here("--json", "apply", "--yes")
    assert status == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert (lines[-1]["event"], lines[-1]["ok"]) == ("report", True)
    assert json.loads(here("--json", "plan")[1])["changes"] == []
    warnings = [line for line in err.splitlines() if "history" in line]
    assert (len(warnings), "Traceback" in err) == (1, False), err


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_plan_and_history_say_what_is_wrong(here: Run, tmp_path: Path, spoil: Spoil) -> None:
    spoil(database.path(tmp_path))
    status, out, err = here("plan")
    assert (status, "1 to create" in out, "Traceback" in err) == (0, True, False)
    status, out, err = here("--json", "history")
    document = json.loads(out)
    assert "Traceback" not in err
    if spoil not in (a_link, no_folder):  # the one can be read, in the other there is none
        assert (status, document["ok"]) == (1, False)
        assert str(database.path(tmp_path)) in document["error"]


def test_the_file_is_full_and_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_MAX_BYTES", 128 * 1024)
    recorder = Recorder(tmp_path, begun("aaa"))
    for _ in range(3000):
        recorder.take(event("progress", "create", 1.0, "x" * 100))
    recorder.end("failed", {"failed": ["y" * 50_000]}, "no good")
    assert "disk is full" in recorder.trouble
    run = reading.run(tmp_path, "aaa")
    assert (run.result, run.error, len(run.report or {})) == ("failed", "no good", 1)


def test_a_talkative_step_pushes_nothing_else_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "PROGRESS_BYTES", 10_000)
    talk = [event("progress", "create", 1.0, "x" * 100) for _ in range(3000)]
    both = [event("started", "create", 0.0), event("finished", "create", 9.0)]
    assert keep(tmp_path, "aaa", [both[0], *talk, both[1]]) == ""
    told = [one["event"] for one in reading.run(tmp_path, "aaa").events]
    assert (told[0], told[-1]) == ("started", "finished")
    assert 10 < len(told) < 100
    assert [seconds for _, _, seconds in reading.samples(tmp_path, "sim")] == [9.0]


@pytest.mark.parametrize("slow", ["exec sleep 30", "sleep 30; true"])
def test_a_slow_git_costs_the_commit_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\n{slow}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
    begin = time.monotonic()
    assert keep(tmp_path, "aaa", [event("started", "create", 0.0)]) == ""
    assert time.monotonic() - begin < 2.5
    run = reading.run(tmp_path, "aaa")
    assert (run.result, run.commit, len(run.events)) == ("ok", None, 1)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_it_is_deleted_in_the_middle_of_a_run(tmp_path: Path, what: str) -> None:
    recorder = Recorder(tmp_path, begun("aaa"))
    recorder.take(event("started", "create", 0.0))
    until = time.monotonic() + 5
    while not database.path(tmp_path).exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    if what == "file":
        database.path(tmp_path).unlink()
    else:
        shutil.rmtree(database.path(tmp_path).parent)
    recorder.take(event("finished", "create", 1.0))
    recorder.end("ok")
    assert keep(tmp_path, "bbb") == ""
    assert reading.runs(tmp_path, 5)[0].id == "bbb"


def test_half_characters_are_kept_as_question_marks(tmp_path: Path) -> None:
    assert keep(tmp_path, "aaa", [event("progress", "create", 0, "a\udc80b\0c")]) == ""
    assert reading.run(tmp_path, "aaa").events[0]["message"] == "a?b\0c"


def test_a_bug_in_the_writing_is_told_and_no_more(tmp_path: Path) -> None:
    trouble = keep(tmp_path, "aaa", plan=lambda: 1 / 0)
    assert trouble.startswith("an unexpected ZeroDivisionError")


def test_values_that_make_no_sense(tmp_path: Path) -> None:
    keep(tmp_path, "aaa", [event("started", "create", 0), event("finished", "create", 2)])
    with closing(sqlite3.connect(database.path(tmp_path))) as found:
        found.execute("INSERT INTO sample VALUES (1, 'sim', 'create a', 'lxc/1', 'long')")
        found.execute("INSERT INTO sample VALUES (1, 'sim', 7, 'lxc/1', -1)")
        found.execute("INSERT INTO sample VALUES (1, 'sim', 'create a', 'lxc/1', 9e999)")
        found.execute("UPDATE run SET summary = 'nothing'")
        found.commit()
    assert [seconds for _, _, seconds in reading.samples(tmp_path, "sim")] == [2.0]
    with pytest.raises(PhoenixError, match="is damaged"):
        reading.run(tmp_path, "aaa")


def test_a_notebook_keeps_the_first_trouble(tmp_path: Path) -> None:
    database.path(tmp_path).parent.mkdir()
    garbage(database.path(tmp_path))
    notebook = Notebook(tmp_path)
    assert notebook.trouble == ""
    assert notebook.samples("sim") == ()
    assert "is damaged" in notebook.trouble
    notebook.record(begun("aaa")).end("ok")
    assert "is damaged" in notebook.trouble
