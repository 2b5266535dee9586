"""The relay with real shells, and through it a kept `Shell`."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pytest

from phoenix_hypervisor.model.errors import TimedOut
from phoenix_hypervisor.shell import Shell, relay

SHELLS = [name for name in ("sh", "dash", "bash") if which(name)]
EVERY_BYTE = bytes(range(256)) * 8192


def vector(line: str, *command: str, terminal: bool = False) -> tuple[str, ...]:
    return relay.argv(line, command, sys.executable, terminal=terminal)


def run(line: str, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        vector(line, *command), input=stdin, capture_output=True, check=False, timeout=20
    )


@pytest.mark.parametrize("shell", SHELLS)
class TestThroughAShell:
    def test_passes_both_outputs_and_the_status_on(self, shell: str) -> None:
        done = run("echo out; echo err >&2; exit 7", shell)
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")

    def test_the_first_shell_takes_nothing_of_the_input(self, shell: str) -> None:
        done = run("exec cat", shell, stdin=EVERY_BYTE)
        assert done.stdout == EVERY_BYTE

    def test_input_that_looks_like_commands_is_not_run(self, shell: str) -> None:
        done = run("exec cat", shell, stdin=b"echo run\nexit 3\n")
        assert (done.returncode, done.stdout) == (0, b"echo run\nexit 3\n")

    def test_a_greeting_of_the_shell_is_dropped(self, shell: str) -> None:
        greeting = f"echo Welcome to the gate; exec {shell}"
        assert run("echo own", shell, "-c", greeting).stdout == b"own\n"

    def test_ends_with_its_input(self, shell: str) -> None:
        started = time.monotonic()
        assert run("exec sh", shell, stdin=b"echo last").stdout == b"last\n"
        assert time.monotonic() - started < 5

    def test_keeps_a_shell_open(self, shell: str) -> None:
        with Shell(vector("exec sh", shell)) as kept:
            first = kept.run("cat; exit 4", timeout_s=10, stdin=EVERY_BYTE)
            assert (first.status, first.out) == (4, EVERY_BYTE)
            started = time.monotonic()
            for number in range(20):
                assert kept.run(f"echo {number}", timeout_s=10).out == f"{number}\n".encode()
            assert time.monotonic() - started < 2

    def test_what_takes_too_long_is_ended_there(self, shell: str, tmp_path: Path) -> None:
        mark = tmp_path / "pid"
        with Shell(vector("exec sh", shell)) as kept:
            with pytest.raises(TimedOut):
                kept.run(f"echo $$ >{mark}; exec sleep 60", timeout_s=0.5)
            assert not Path(f"/proc/{mark.read_text().strip()}").exists()
            assert kept.run("echo again", timeout_s=10).out == b"again\n"


class TestTheCommand:
    def test_is_the_process_that_was_started_so_that_killing_it_ends_it(self) -> None:
        with subprocess.Popen(
            vector("echo $$; exec sleep 60", "sh"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == process.pid
            process.kill()
            assert process.wait(5) == -signal.SIGKILL
            assert process.stdout.read() == b""  # the second process went with it

    def test_that_is_missing_is_named(self) -> None:
        done = run("true", "no-such-gate")
        assert done.returncode == 127
        assert done.stderr == b"no-such-gate: No such file or directory\n"

    def test_that_gives_no_shell_tells_its_own_words_and_status(self) -> None:
        done = run("true", "sh", "-c", "echo closed >&2; exit 9")
        assert (done.returncode, done.stdout, done.stderr) == (9, b"", b"closed\n")

    def test_may_close_its_input_and_still_write(self) -> None:
        line = "exec <&-; sleep 0.3; echo written"
        assert run(line, "sh", stdin=b"x" * 1_000_000).stdout == b"written\n"


class TestWrongUse:
    @pytest.mark.parametrize("words", [[], ["line"], ["line", "--"], ["line", "sh", "x"]], ids=str)
    def test_is_told(self, words: list[str]) -> None:
        done = subprocess.run(
            [sys.executable, "-IS", relay.__file__, *words],
            capture_output=True,
            check=False,
            timeout=10,
        )
        assert done.returncode == 64
        assert b"usage: relay.py" in done.stderr


class TestATerminal:
    def test_is_given_on_the_other_side(self) -> None:
        leader, follower = pty.openpty()
        words = (
            "test -t 0 && test -t 1 && echo terminal of $(stty size); read x; echo got $x; exit 5"
        )
        subprocess.run(["stty", "rows", "33", "cols", "101"], stdin=follower, check=True)
        process = subprocess.Popen(
            vector(f"sh -c '{words}'", "sh", terminal=True),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        seen = b""
        while b"terminal of 33 101" not in seen:
            seen += os.read(leader, 1000)
        os.write(leader, b"typed\r")
        while b"got typed" not in seen:
            seen += os.read(leader, 1000)
        assert process.wait(10) == 5
        os.close(leader)
