"""Ending processes by a mark in their environment, and no others."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from phoenix_hypervisor.shell import Shell
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


def test_a_familys_marks_are_taken_literally() -> None:
    with (
        Shell(["sh"]) as shell,
        sleeping("echo up; exec sleep 71", **{NAME: "a.b+c"}) as itself,
        sleeping("echo up; exec sleep 72", **{NAME: "a.b+c.worker"}) as part,
        sleeping("echo up; exec sleep 73", **{NAME: "second"}) as second,
        sleeping("echo up; exec sleep 74", **{NAME: "aXb+c"}) as alike,
        sleeping("echo up; exec sleep 75", **{NAME: "a.b+cd"}) as longer,
    ):
        assert shell.end_marked(NAME, "a.b+c", "second", family=True) == ["sleep"] * 3
        assert [each.wait(5) for each in (itself, part, second)] == [-15] * 3
        time.sleep(0.2)
        assert [each.poll() for each in (alike, longer)] == [None] * 2


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
