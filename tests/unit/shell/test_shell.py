"""The persistent shell, on a real `sh` of this machine."""

import io
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phoenix_hypervisor.model.errors import PhoenixError, TimedOut, Unreachable
from phoenix_hypervisor.shell import Shell

S = 20.0


@pytest.fixture
def shell() -> Iterator[Shell]:
    with Shell(["sh"], name="here") as opened:
        yield opened


def pid_of(shell: Shell) -> int:
    return int(shell.run("echo $PPID", timeout_s=S).out)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not runs(pid)


def test_status_and_both_outputs(shell: Shell) -> None:
    answer = shell.run("echo out; echo err >&2; exit 3", timeout_s=S)
    assert (answer.status, answer.out, answer.err) == (3, b"out\n", b"err\n")
    assert not answer.ok


@pytest.mark.skipif(not shutil.which("bash"), reason="another shell writes no such file")
@pytest.mark.parametrize("stdin", [b"", b"input"])
def test_a_long_script_that_a_full_disk_refuses_has_failed(stdin: bytes) -> None:
    # Bash writes here-documents above 64 KiB to a file: here none can grow.
    full = "trap '' XFSZ; ulimit -f 0; exec sh"
    with Shell(["sh", "-c", full], name="here") as shell:
        assert shell.run("true", timeout_s=S).ok
        answer = shell.run(f": {'x' * 70_000}\nexit 7", timeout_s=S, stdin=stdin)
        assert (answer.status, answer.out) == (126, b"")
        assert b"the shell can't begin this command" in answer.err
        assert shell.run("cat; exit 3", timeout_s=S, stdin=stdin).status == 3


@pytest.mark.parametrize(
    ("script", "status", "out"),
    [
        ("printf no-newline", 0, b"no-newline"),
        ("", 0, b""),
        ("# a comment", 0, b""),
        ("set -e; false; echo reached", 1, b""),
        ("set -e\nfalse || true\necho reached", 0, b"reached\n"),
        ("echo one\necho 'unbalanced", 2, b"one\n"),
        ("if true; then echo x", 2, b""),
        ("cat <<EOF\na 'b' $((1+1))\nEOF\n", 0, b"a 'b' 2\n"),
        ("cat <<'EOF'\n$x\nEOF", 0, b"$x\n"),
        ("kill -9 $$", 137, b""),
        ("kill $$; sleep 5", 143, b""),
        ("exec true; echo not-reached", 0, b""),
        ("exec >&-; echo x", None, b""),
        ("cat", 0, b""),
        ("read line || echo no-input", 0, b"no-input\n"),
        ("printf '\\000\\377\\001'", 0, b"\x00\xff\x01"),
        ('echo \\\\ "$HOME" | wc -l', 0, b"1\n"),
        ("trap 'echo bye' EXIT; exit 5", 5, b"bye\n"),
        ("cd /; pwd", 0, b"/\n"),
        ("f() { return 9; }; f", 9, b""),
        ("exec 3<&0 4>&1; echo four >&4", 0, b"four\n"),
    ],
)
def test_every_kind_of_script(shell: Shell, script: str, status: int | None, out: bytes) -> None:
    pid = pid_of(shell)
    answer = shell.run(script, timeout_s=S)
    assert answer.out == out
    if status is None:
        assert answer.status != 0
    else:
        assert answer.status == status
    assert pid_of(shell) == pid  # the same shell goes on


def test_a_command_changes_nothing_for_the_next(shell: Shell) -> None:
    shell.run("cd /; X=1; export X; umask 077; set -f; alias ls=false", timeout_s=S)
    answer = shell.run('pwd; echo "[$X]"; umask; echo /e*c', timeout_s=S)
    lines = answer.said().out.splitlines()
    assert lines[0] == str(Path.cwd())
    assert lines[1] == "[]"
    assert lines[2] != "0077"
    assert lines[3] == "/etc"


def test_much_output_on_both_sides_at_once(shell: Shell) -> None:
    script = "head -c 100000000 /dev/zero & head -c 30000000 /dev/zero >&2; wait"
    answer = shell.run(script, timeout_s=60)
    assert (len(answer.out), len(answer.err)) == (100_000_000, 30_000_000)


def test_much_input_and_output_at_once(shell: Shell) -> None:
    data = os.urandom(5_000_000)
    assert shell.run("cat", timeout_s=S, stdin=data).out == data
    assert shell.run("cat", timeout_s=S, stdin=io.BytesIO(data)).out == data


@pytest.mark.parametrize("script", ["exit 4", "head -c 10 >/dev/null; exit 4", "exec <&-; exit 4"])
def test_input_that_is_not_read_does_not_reach_the_next_command(shell: Shell, script: str) -> None:
    assert shell.run(script, timeout_s=S, stdin=b"echo no\n" * 100_000).status == 4
    assert shell.run("echo next", timeout_s=S).out == b"next\n"


def test_a_large_script(shell: Shell) -> None:
    script = "".join(f"x{number}=y\n" for number in range(100_000)) + "echo $x99999"
    assert shell.run(script, timeout_s=S).out == b"y\n"


def test_environment(shell: Shell) -> None:
    value = "a 'quoted' \"value\"\nand $HOME `x`\n"
    answer = shell.run('printf %s "$VALUE"; env | grep -c VALUE', timeout_s=S, env={"VALUE": value})
    assert answer.out == value.encode() + b"1\n"
    assert shell.run('echo "[$VALUE]"', timeout_s=S).out == b"[]\n"


def test_nothing_secret_is_in_arguments(shell: Shell) -> None:
    script = (
        "# hunter-two\ntr '\\0' ' ' </proc/$$/cmdline /proc/$PPID/cmdline; cat /proc/$PPID/cmdline"
    )
    answer = shell.run(script, timeout_s=S, env={"PASSWORD": "hunter-two"})
    assert b"hunter-two" not in answer.out
    assert answer.out


def test_the_environment_of_the_shell_is_seen_in_proc() -> None:
    with Shell(["sh"], env={"PHOENIX_TEST_MARK": "m 1"}) as shell:
        seen = shell.run(
            "tr '\\0' '\\n' </proc/$PPID/environ; echo \"[$PHOENIX_TEST_MARK]\"", timeout_s=S
        )
    assert "PHOENIX_TEST_MARK=m 1" in seen.said().out.splitlines()
    assert "[m 1]" in seen.said().out


def test_lines_come_while_it_runs(shell: Shell) -> None:
    seen: list[tuple[str, bytes, float]] = []
    begun = time.monotonic()
    shell.run(
        "echo first; sleep 0.5; echo second >&2; printf last",
        timeout_s=S,
        on_line=lambda output, line: seen.append((output, line, time.monotonic() - begun)),
    )
    assert [(output, line) for output, line, _ in seen] == [
        ("out", b"first"),
        ("err", b"second"),
        ("out", b"last"),
    ]
    assert seen[0][2] < 0.4 < seen[1][2]


def test_a_background_process_is_not_waited_for_and_disturbs_nobody(shell: Shell) -> None:
    begun = time.monotonic()
    answer = shell.run(
        "(while sleep 0.02; do echo noise; echo noise >&2; done) & echo $!", timeout_s=S
    )
    try:
        assert time.monotonic() - begun < 5
        pid = int(answer.out.split()[0])
        for _ in range(30):
            quiet = shell.run("sleep 0.01; echo quiet", timeout_s=S)
            assert (quiet.out, quiet.err) == (b"quiet\n", b"")
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_time_limit_ends_all_that_the_command_started(shell: Shell) -> None:
    script = (
        "echo begun; echo $$; setsid sleep 61 & echo $!; env -i sleep 62 & echo $!;"
        " trap '' TERM; echo words >&2; sleep 63"
    )
    pid = pid_of(shell)
    begun = time.monotonic()
    with pytest.raises(TimedOut, match=r"here: a command took longer than 0\.5 s") as caught:
        shell.run(script, timeout_s=0.5)
    assert time.monotonic() - begun < 30
    first, *pids = caught.value.detail.split("\n")[:4]
    assert first == "begun"
    assert "words" in caught.value.detail
    assert all(gone(int(each)) for each in pids)
    assert shell.run("echo usable", timeout_s=S).out == b"usable\n"
    assert pid_of(shell) == pid


def test_a_time_limit_while_input_is_still_sent(shell: Shell) -> None:
    with pytest.raises(TimedOut):
        shell.run("sleep 64", timeout_s=0.5, stdin=b"x" * 10_000_000)
    assert shell.run("echo usable", timeout_s=S).out == b"usable\n"


def test_an_interruption_ends_the_command(shell: Shell) -> None:
    pids: list[int] = []

    def interrupt(_output: str, line: bytes) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shell.run("echo $$; sleep 65", timeout_s=S, on_line=interrupt)
    assert gone(pids[0])
    assert shell.run("echo usable", timeout_s=S).out == b"usable\n"


def test_close_from_another_thread_ends_the_command(tmp_path: Path) -> None:
    shell = Shell(["sh"], name="here")
    mark = tmp_path / "pid"
    errors: list[BaseException] = []

    def work() -> None:
        try:
            shell.run(f"echo $$ >{mark}; sleep 66", timeout_s=S)
        except PhoenixError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not (mark.exists() and mark.read_text()):
        time.sleep(0.01)
    shell.close()
    thread.join(10)
    assert [type(error) for error in errors] == [Unreachable]
    assert gone(int(mark.read_text()))


def test_close_while_it_is_being_opened() -> None:
    shell = Shell(["sleep", "68"], open_s=60)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            shell.run(":", timeout_s=S)
        except PhoenixError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    shell.close()
    thread.join(10)
    assert [type(error) for error in errors] == [Unreachable]


def test_a_lost_shell_is_told_and_opened_again(shell: Shell) -> None:
    with pytest.raises(Unreachable, match="here: the connection was lost"):
        shell.run("kill -9 $PPID; sleep 0.2", timeout_s=S)
    assert shell.run("echo again", timeout_s=S).out == b"again\n"
    os.kill(pid_of(shell), signal.SIGKILL)
    time.sleep(0.1)
    assert shell.run("echo again", timeout_s=S).out == b"again\n"


def test_a_way_in_that_does_not_work_tells_its_own_words() -> None:
    shell = Shell(
        ["sh", "-c", "echo Welcome; echo the guest is not running >&2; exit 1"], name="lxc/1"
    )
    with pytest.raises(
        Unreachable, match="lxc/1: no shell can be opened: the guest is not running"
    ):
        shell.run(":", timeout_s=S)
    with pytest.raises(Unreachable, match="no shell can be opened"):
        Shell(["/nowhere/incus", "exec"]).run(":", timeout_s=S)
    with pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
        Shell(["sleep", "67"], open_s=0.3).run(":", timeout_s=S)


def test_a_login_message_is_not_output() -> None:
    with Shell(["sh", "-c", "echo Welcome; echo Warning >&2; exec sh"]) as shell:
        answer = shell.run("echo x", timeout_s=S)
    assert (answer.out, answer.err) == (b"x\n", b"")


@pytest.mark.parametrize("program", ["dash", "bash"])
def test_other_shells(program: str) -> None:
    with Shell([program]) as shell:
        assert shell.run("echo x; exit 3", timeout_s=S).status == 3
        assert shell.run("cat", timeout_s=S, stdin=b"\0").out == b"\0"


_USED = ("sh", "head", "cat", "sleep", "grep", "tr", "sort", "env", "true")


def with_only(folder: Path, *programs: str) -> Shell:
    """A shell that finds only these programs and what the shell itself needs."""
    for name in (*_USED, *programs):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        (folder / name).symlink_to(found.stdout.strip())
    return Shell(["env", f"PATH={folder}", "sh"])


def test_without_bash_and_setsid(tmp_path: Path) -> None:
    with with_only(tmp_path) as shell:
        assert shell.run("command -v setsid || command -v bash", timeout_s=S).status != 0
        assert shell.run("cat; exit 3", timeout_s=S, stdin=b"x").status == 3
        assert shell.run("sleep 0.2 & exit 4", timeout_s=S).status == 4


@pytest.mark.parametrize("maker", ["bash", "setsid"])
def test_each_command_has_a_process_group_of_its_own(tmp_path: Path, maker: str) -> None:
    with with_only(tmp_path, maker) as shell:
        pid = pid_of(shell)
        for stdin in (b"", b"a line\n"):
            answer = shell.run("trap '' TERM; kill 0; echo on", timeout_s=S, stdin=stdin)
            assert (answer.status, answer.out) == (0, b"on\n")
            assert shell.run("kill -INT 0; sleep 5", timeout_s=S, stdin=stdin).status == 130
        with pytest.raises(TimedOut):
            shell.run("env -i sleep 69 & env -i sleep 69", timeout_s=0.5)
        left = subprocess.run(["pgrep", "-f", "^sleep 69$"], capture_output=True, check=False)
        assert left.stdout == b""
        assert pid_of(shell) == pid
        assert shell.run("sleep 0.5 & echo begun", timeout_s=S).out == b"begun\n"
        assert pid_of(shell) != pid  # that one is left to what still runs


def test_threads_take_turns(shell: Shell) -> None:
    answers: dict[int, bytes] = {}

    def work(number: int) -> None:
        for _ in range(20):
            answers[number] = shell.run(f"echo {number}", timeout_s=S).out

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: b"%d\n" % number for number in range(4)}
