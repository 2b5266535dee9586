"""Ending processes by a mark in their environment, and no others."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from phoenix_hypervisor.shell import Shell, leftovers
from phoenix_hypervisor.shell.ending import ending
from phoenix_hypervisor.shell.leftovers import abandon_run

NAME = "PHOENIX_TEST_LEFT"


@contextmanager
def sleeping(script: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sh", "-c", script], env=os.environ | env, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_only_processes_with_the_exact_mark_are_ended() -> None:
    with (
        Shell(["sh"]) as shell,
        sleeping("echo up; exec sleep 71", **{NAME: "run1"}) as marked,
        sleeping("echo up; exec sleep 72", **{NAME: "run12"}) as longer,
        sleeping("echo up; exec sleep 73", **{f"X{NAME}": "run1"}) as other_name,
        sleeping("echo up; exec sleep 74", OTHER=f"{NAME}=run1") as in_a_value,
        sleeping("echo up; exec sleep 75") as plain,
    ):
        assert shell.end_marked(NAME, "run1") == ["sleep"]
        assert marked.wait(5) == -15
        time.sleep(0.2)
        assert [each.poll() for each in (longer, other_name, in_a_value, plain)] == [None] * 4


def test_what_does_not_end_is_killed() -> None:
    with (
        Shell(["sh"]) as shell,
        sleeping("trap '' TERM; echo up; while :; do sleep 0.1; done", **{NAME: "run2"}) as deaf,
    ):
        begun = time.monotonic()
        assert "sh" in shell.end_marked(NAME, "run2")
        assert deaf.wait(5) == -9
        assert 2 < time.monotonic() - begun < 8


@pytest.mark.parametrize(
    "machine",
    [
        'grep() { sleep 5; command grep "$@"; }',  # a look takes longer than one who is told has
        "read() { case $1,$2,$3 in -r,_up,*) _up=; return 1 ;; esac; command read $1 $2; }",
    ],
    ids=["slow", "no clock"],
)
def test_whatever_the_machine_is_like_it_is_told_first_and_then_killed(machine: str) -> None:
    deaf = "trap 'echo told' TERM; echo up; while :; do sleep 0.1; done"
    with sleeping(deaf, **{NAME: "run3"}) as process:
        script = f"{machine}\n{ending(NAME, ['run3'])}"
        subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=60, check=True)
        assert process.wait(5) == -9
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"told\n")


def test_marks_are_taken_literally() -> None:
    with (
        Shell(["sh"]) as shell,
        sleeping("echo up; exec sleep 71", **{NAME: "a.b+c"}) as itself,
        sleeping("echo up; exec sleep 72", **{NAME: "second"}) as second,
        sleeping("echo up; exec sleep 73", **{NAME: "aXb+c"}) as alike,
        sleeping("echo up; exec sleep 74", **{NAME: "a.b+c.part"}) as longer,
    ):
        assert shell.end_marked(NAME, "a.b+c", "second") == ["sleep"] * 2
        assert [each.wait(5) for each in (itself, second)] == [-15] * 2
        time.sleep(0.2)
        assert [each.poll() for each in (alike, longer)] == [None] * 2


def test_what_a_killed_run_had_finished_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that ended well has started the application: nobody would start it again."""
    file = tmp_path / "run"
    monkeypatch.setattr(leftovers, "RUN_FILE", str(file))
    run, other = uuid.uuid4().hex[:12], uuid.uuid4().hex[:12]

    def ended(content: str, left: list[str]) -> None:
        file.write_text(content)
        parts = {
            "application": f"{run}.11111111",
            "check": f"{run}.check",
            "driver": f"{run}.driver",
            "job": f"{run}.22222222",
            "other": f"{other}.22222222",
        }
        with ExitStack() as stack:
            started = {
                name: stack.enter_context(sleeping("echo up; exec sleep 71", PHOENIX_RUN=mark))
                for name, mark in parts.items()
            }
            gone = set(parts) - set(left)
            assert leftovers.end_runs(["sh"], [run], "here") == ["sleep"] * len(gone)
            assert {started[name].wait(5) for name in gone} == {-15}
            time.sleep(0.2)
            assert [name for name, process in started.items() if process.poll() is None] == left

    ended(f"{run}.22222222", ["application", "other"])
    ended("", ["application", "job", "other"])
    ended(f"{other}.22222222", ["application", "job", "other"])


def test_who_is_in_a_hurry_leaves_it_to_another_process() -> None:
    deaf = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    with sleeping(deaf, PHOENIX_RUN="hurry") as left, sleeping(deaf, PHOENIX_RUN="other") as other:
        begun = time.monotonic()
        abandon_run(["sh"], "hurry")
        assert time.monotonic() - begun < 0.5
        assert left.wait(5) == -9
        assert other.poll() is None
    abandon_run(["/nonexistent"], "hurry")  # the next run ends it


def test_nothing_to_end() -> None:
    with Shell(["sh"]) as shell:
        assert shell.end_marked(NAME, "run3") == []
