"""Makes a command that gives a shell into a way to run one line there: for any gate to a host.

    python relay.py [--terminal] LINE -- COMMAND…

COMMAND (`ssh -J gate root@host`, `incus exec host -- sh`) starts a POSIX shell that reads its
input. LINE is given to that shell as its first, and only when the shell has read it are input and
output passed on, untouched: a shell that reads ahead would else take what is meant for LINE's
program. This process *becomes* COMMAND, so that its exit status and its end by a signal are
COMMAND's own; others pass the bytes on and end with it.

Only the standard library, and nothing of this project, so that it starts in a few milliseconds.
"""

import contextlib
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Sequence

_BLOCK = 1 << 16
_USAGE = 64


def argv(
    line: str, command: Sequence[str], python: str, *, terminal: bool = False
) -> tuple[str, ...]:
    """The argument vector that starts a relay with this Python.

    `terminal`: the line runs in a terminal of its own there (made by util-linux's `script`), and
    the one here is passed through to it.
    """
    flag = ("--terminal",) if terminal else ()
    return (python, "-IS", __file__, *flag, line, "--", *command)


def main(words: Sequence[str]) -> int:
    """Starts it; returns only where it can't be started."""
    words = list(words)
    terminal = words[:1] == ["--terminal"]
    if terminal:
        words.pop(0)
    if len(words) < 3 or words[1] != "--":  # noqa: PLR2004 - LINE, --, and a command
        sys.stderr.write("usage: relay.py [--terminal] LINE -- COMMAND...\n")
        return _USAGE
    line, command = words[0], words[2:]
    if terminal:
        return _in_terminal(line, command)
    _become(command, *_start_passing(line))
    return 127


def _start_passing(line: str) -> tuple[int, int]:
    """Starts the process that passes bytes on; gives the command's input and output."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    if child := os.fork():
        os.waitpid(child, 0)
        os.close(to_write)
        os.close(from_read)
        return to_read, from_write
    if os.fork():  # a grandchild works: the command has no child that it does not know of
        os._exit(0)
    status = 1
    try:
        os.close(to_read)
        os.close(from_write)
        # The command alone is to be ended by Ctrl-C; this process ends when it has.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            _pass_on(line, to_write, from_read)
        status = 0
    finally:
        os._exit(status)


def _become(command: Sequence[str], stdin: int, stdout: int) -> None:
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    os.close(stdin)
    os.close(stdout)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python's own setting is not for others
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(127)


def _pass_on(line: str, stdin: int, stdout: int) -> None:
    """Speaks to the command: the line, then until its output ends whatever comes."""
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    # In two words, so that the echo of a terminal is not taken for the answer.
    _write(stdin, f"printf %s%s {first} {second}; {line}\n".encode())
    rest = _wait_for((first + second).encode(), stdout)
    if rest is None:
        return
    _write(1, rest)
    # Each direction has a process of its own: neither ever waits for the other.
    child = os.fork()
    if not child:
        os.close(stdout)
        with contextlib.suppress(OSError):  # the command reads no more, but may still write
            _copy(0, stdin)
        os._exit(0)
    os.close(stdin)
    try:
        _copy(stdout, 1)
    finally:
        os.kill(child, signal.SIGKILL)


def _copy(source: int, target: int) -> None:
    while data := os.read(source, _BLOCK):
        _write(target, data)


def _wait_for(mark: bytes, fd: int) -> bytes | None:
    """What comes after the mark; None where the output ends without it. Greetings are dropped."""
    seen = b""
    while mark not in seen:
        data = os.read(fd, _BLOCK)
        if not data:
            return None
        seen = seen[-len(mark) :] + data
    return seen.partition(mark)[2]


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _in_terminal(line: str, command: Sequence[str]) -> int:
    """Runs the line in a terminal there. Returns the command's exit status."""
    import termios
    import tty

    size = os.get_terminal_size(0)
    start = f"stty rows {size.lines} cols {size.columns}; exec {line}"
    name = shlex.quote(os.environ.get("TERM", "linux"))
    remote = f"export TERM={name}; exec script -qefc {shlex.quote(start)} /dev/null"
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        child = os.fork()
        if not child:
            _become(command, *_start_passing(remote))
        _, status = os.waitpid(child, 0)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
