"""What is written to a persistent shell for one command, and how its answer is told apart.

Standard POSIX `sh` only (dash, bash, busybox), since nothing may have to be installed first. Each
command runs in a shell and session of its own, so that `exit`, `set -e`, `kill $$` or a syntax
error ends only that one, and so that all of it can be ended. Its text goes through a here-document
on descriptor 3: never through an argument vector, which every user of the machine can read, and
never through standard input, which is the command's own.
"""

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

COMMAND_ENV = "PHOENIX_COMMAND"
"""In the environment of each command, with its random id: so that it can be found and ended."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def exports(env: Mapping[str, str]) -> str:
    """A line that sets environment variables. Raises ValueError for a name that is none."""
    for name in env:
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not a name of an environment variable")
    return "".join(f"export {name}={shlex.quote(value)};" for name, value in env.items())


def greeting(env: Mapping[str, str], token: str) -> bytes:
    """The first line for a new shell.

    It is replaced by one that was *started* with `env`: only what a process was started with can
    be seen in /proc. The answer is awaited before anything else is sent, since the first shell
    reads ahead. `bash` is preferred for the one that is kept, since it can give a command a
    process group without another program's help; a command's own shell is `sh` in any case.
    """
    kept = "if command -v bash >/dev/null 2>&1; then exec bash --posix; else exec sh; fi"
    return f"{exports(env)} printf %s {token}; {kept}\n".encode()


# What the persistent shell knows. `_run ID` starts a command whose text is on descriptor 3, waits,
# and keeps its status and its process id, which is its process group's as well; `_end MARK` tells
# of it. A command's outputs are those that are kept as 8 and 9.
#
# Bash makes a group for each background job, in a subshell when asked again. Elsewhere `setsid`
# does, which costs as much as starting the command's shell; the process id comes back through the
# substitution, since a background job would ignore SIGINT there. Bash before 5.1 would write each
# here-document to a file: there `sh` is kept. (Bash has not read ahead, so that it gets the rest.)
# Later ones write only those above a pipe's 64 KiB to one, which is unlinked at once. Where that
# fails, such as on a full disk, `_run` is skipped and `_p` stays empty.
PREPARE = r"""case $BASH_VERSION in [1-4].*|5.0.*) exec sh ;; esac
exec 8>&1 9>&2 2>/dev/null
_inner='echo $$; exec >&8 2>&9 8>&- 9>&-; . /dev/fd/3'
_group=1
if [ -n "$BASH_VERSION" ]; then
_run() {
set -m
ENV=$1 sh -c '. /dev/fd/3' sh <&0 >&8 2>&9 8>&- 9>&- &
_p=$!
wait $_p
_s=$?
}
elif command -v setsid >/dev/null; then
_run() { _p=$(ENV=$1 setsid sh -c "$_inner" sh); _s=$?; }
else
_run() { _p=$(ENV=$1 sh -c "$_inner" sh); _s=$?; }
_group=
fi
_end() {
_l=0
if [ -z "$_p" ]; then echo "the shell can't begin this command: is a disk or the memory full?" >&9
elif [ -n "$_group" ] && kill -s 0 -- "-$_p"; then _l=1; fi
printf '%s> %s %s\n' $1 $_s $_l >&8
printf '%s>' $1 >&9
}
""".replace("ENV", COMMAND_ENV).encode()
"""The second thing that is written: it keeps the outputs and makes both functions."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command with the random marks around its outputs."""

    script: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin_size: int | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    mark: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def begin(self) -> bytes:
        """Written to both outputs before the command reads its input; empty where it has none."""
        return b"" if self.stdin_size is None else f"{self.mark}<".encode()

    @property
    def end(self) -> bytes:
        """Written to both outputs after it; on standard output two numbers follow."""
        return f"{self.mark}>".encode()

    def text(self) -> bytes:
        """What the persistent shell is told. Raises ValueError for a script with a NUL byte."""
        body = f"exec 3<&-; {exports(self.env)}{self.script}"
        if "\0" in body:
            raise ValueError("a script can't hold a NUL byte")
        run = f"_s=126 _p=\n_run {self.id} 3<<'{self.mark}'"
        text, end = f"\n{body}\n{self.mark}\n", f"_end {self.mark}\n"
        if self.stdin_size is None:
            return f"{run} </dev/null{text}{end}".encode()
        begin = self.begin.decode()
        first = f"printf %s '{begin}' >&8; printf %s '{begin}' >&9\n"
        # What the command leaves unread is read off, or it would be taken for the next command.
        rest = f"head -c {self.stdin_size} | {{\n{run}{text}cat >/dev/null\n{end}}}\n"
        return (first + rest).encode()


def without_marks(data: bytes) -> bytes:
    """An output as it was read, with the marks of commands taken out."""
    return re.sub(rb"[0-9a-f]{24}[<>]", b"", data)


class Stream:
    """Cuts one command's part out of one output.

    What comes before its begin mark is not its own (a background process of an earlier command
    wrote it), and the end mark ends it.
    """

    def __init__(self, begin: bytes, end: bytes, *, has_tail: bool) -> None:
        """No `begin`: all is the command's own until the end mark.

        `has_tail`: a line with more follows the end mark, which is then kept in `ended`.
        """
        self._begin = begin
        self._end = end
        self._has_tail = has_tail
        self._held = b""
        self.begun = not begin
        self.ended: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """Takes what was read; gives what is certainly the command's own output."""
        held = self._held + data
        if not self.begun:
            at = held.find(self._begin)
            if at < 0:
                self._held = held[-len(self._begin) :]
                return b""
            held = held[at + len(self._begin) :]
            self.begun = True
        end = self._end
        at = held.find(end)
        if at >= 0:
            rest = held[at + len(end) :]
            if not self._has_tail:
                self.ended = b""
            elif b"\n" in rest:
                self.ended = rest.partition(b"\n")[0]
            self._held = b"" if self.ended is not None else held[at:]
            return held[:at]
        # The mark may be cut in two by the pipe: hold back only what could be its beginning.
        keep = min(len(held), len(end) - 1)
        while keep and not end.startswith(held[-keep:]):
            keep -= 1
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]
