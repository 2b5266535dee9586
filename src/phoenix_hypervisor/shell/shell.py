"""A way into a guest or host: keeps a POSIX shell there and runs commands and copies files."""

import contextlib
import io
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import BinaryIO, Literal, NoReturn, Self

from phoenix_hypervisor.model.errors import NotFound, PhoenixError, TimedOut, Unreachable
from phoenix_hypervisor.shell import ending
from phoenix_hypervisor.shell.answer import Answer
from phoenix_hypervisor.shell.connection import Connection, DeadlineOver, Ended, Exchange
from phoenix_hypervisor.shell.kept import Kept
from phoenix_hypervisor.shell.protocol import COMMAND_ENV, Command

Output = Literal["out", "err"]
OnLine = Callable[[Output, bytes], None]

_BLOCK = 1 << 16
LONGEST_LINE = 1 << 16
"""Bytes; a longer line is given out in parts."""
_SHORT = 4096
"""Bytes of a file that is written by the script itself; bash reads that byte by byte."""
_AFTER_END_S = 3.0
_MISSING = 44


class Shell:
    """A POSIX shell over pipes, started by an argument vector and started again when it was lost.

    Nothing is started before the first use. Safe to use from several threads: commands wait for
    each other. For asyncio: `asyncio.to_thread(shell.run, …)`.
    """

    def __init__(
        self,
        way_in: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        name: str = "",
        open_s: float = 30.0,
    ) -> None:
        """`env` is in the environment of the shell and of all commands. `name` is for messages."""
        self._way_in = tuple(way_in)
        self._env = dict(env or {})
        self.name = name or shlex.join(way_in)
        self._open_s = open_s
        self._connection: Connection | None = None
        self._set_aside: list[Connection] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(
        self,
        script: str,
        *,
        timeout_s: float,
        stdin: bytes | BinaryIO = b"",
        env: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        out_to: BinaryIO | None = None,
        err_to: BinaryIO | None = None,
        keep: int | None = None,
    ) -> Answer:
        """Runs a script in a shell process of its own and waits until that has ended.

        `stdin` is what it reads (a seekable file is streamed); else /dev/null. `env` is added to
        its environment and, as the script, seen in no argument vector. `on_line` gets each line
        as it comes, without its newline; one of more than 64 KiB comes in parts. With `out_to`
        and `err_to` an output is written there at once, instead of being kept. Of an output that
        is kept, `keep` bytes are (None: all), half of them from its beginning, half from its end.
        Background processes go on and are not waited for; what they still write is dropped, and
        they lose their outputs when this Shell is closed.

        Raises `TimedOut` (the command has been ended there) and `Unreachable` (whether it ran is
        not known; the next use starts a new shell).
        """
        size, blocks = _blocks(stdin)
        command = Command(script, env or {}, stdin_size=size)
        collect = _Collect(on_line, {"out": out_to, "err": err_to}, keep)
        exchange = Exchange(command, blocks, collect.out, collect.err)
        with self._lock:
            connection = self._open()
            try:
                connection.talk(exchange, time.monotonic() + timeout_s)
            except Ended as error:
                self._drop()
                self._end_inside(command)
                raise Unreachable(
                    f"{self.name}: the connection was lost while a command ran: {error}",
                    hint="Is the guest still running? What was begun is taken up again next time.",
                ) from error
            except DeadlineOver:
                self._overdue(connection, command, exchange, collect, timeout_s)
            except BaseException:
                # Interrupted, or a callback failed: nobody waits for the rest.
                self._drop()
                self._end_inside(command)
                raise
            status, left = exchange.result
            if left:
                # Later output of the processes left behind must not get into other commands'.
                connection.drain()
                self._set_aside.append(connection)
                self._connection = None
        return collect.answer(status)

    def put(
        self,
        data: bytes | BinaryIO,
        path: str,
        *,
        mode: int | None = None,
        new_mode: int = 0o644,
        timeout_s: float = 600.0,
    ) -> None:
        """Writes a file: all of it or nothing (a new file beside it takes its place at once).

        With `mode` None a file that is there keeps its owner and mode; a new one gets `new_mode`.
        A symbolic link is followed. A file object is read from its beginning. Raises `PhoenixError`
        with the guest's words if it can't be written, and what `run` raises.
        """
        data, text = _short_text(data)
        size, _ = _blocks(data)
        script = _PUT % {
            "path": shlex.quote(path),
            "new": f".phoenix.{secrets.token_hex(8)}",
            "mode": "" if mode is None else f"{mode:o}",
            "new_mode": f"{new_mode:o}",
            "write": _WRITE_INPUT % (size or 0)
            if text is None
            else _WRITE_TEXT % shlex.quote(text),
        }
        answer = self.run(script, timeout_s=timeout_s, stdin=data if text is None else b"")
        if not answer.ok:
            raise PhoenixError(f"{self.name}: can't write {path}: {answer.words()}")

    def get(self, path: str, *, to: BinaryIO | None = None, timeout_s: float = 600.0) -> bytes:
        """Reads a file: its content, or into `to` (and then returns nothing).

        Raises `NotFound` if there is none, `PhoenixError` if it can't be read, and what `run`
        raises.
        """
        quoted = shlex.quote(path)
        script = f"[ -e {quoted} ] || exit {_MISSING}; exec cat <{quoted}"
        answer = self.run(script, timeout_s=timeout_s, out_to=to)
        if answer.status == _MISSING:
            raise NotFound(f"{self.name}: there is no {path}")
        if not answer.ok:
            raise PhoenixError(f"{self.name}: can't read {path}: {answer.words()}")
        return answer.out

    def end_marked(self, variable: str, *values: str, groups: bool = False) -> Sequence[str]:
        """Ends the processes there that were started with `variable` as one of these values.

        Gives their names. Raises `PhoenixError` if some can't be ended.
        """
        script = ending.ending(variable, values, groups=groups)
        answer = self.run(script, timeout_s=ending.LIMIT_S)
        names = answer.said().out.split()
        if not answer.ok:
            marks = " or ".join(f"{variable}={value}" for value in values)
            raise PhoenixError(
                f"{self.name}: processes with {marks} don't end: {' '.join(names)}",
                hint="Restart the guest.",
            )
        return names

    def close(self) -> None:
        """Ends the shell. A command that another thread runs is ended, there too."""
        connection = self._connection
        if connection is not None and self._lock.locked():
            connection.kill()
        with self._lock:
            self._drop()
            for kept in self._set_aside:
                kept.close()
            self._set_aside.clear()

    def _open(self) -> Connection:
        if self._connection is not None and self._connection.alive:
            return self._connection
        self._drop()
        hint = f"Try it by hand: {shlex.join(self._way_in)}"
        try:
            # Known before it answers, so that `close` can end the waiting.
            self._connection = Connection(self._way_in)
            self._connection.greet(self._env, self._open_s)
        except (Ended, OSError) as error:
            self._drop()
            raise Unreachable(f"{self.name}: no shell can be opened: {error}", hint=hint) from error
        except DeadlineOver as error:
            self._drop()
            raise Unreachable(
                f"{self.name}: the shell did not answer within {self._open_s:g} s", hint=hint
            ) from error
        except BaseException:
            self._drop()
            raise
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.kill()
            self._connection.close()
            self._connection = None

    def _overdue(
        self,
        connection: Connection,
        command: Command,
        exchange: Exchange,
        collect: "_Collect",
        timeout_s: float,
    ) -> NoReturn:
        ended = self._end_inside(command)
        try:
            connection.talk(exchange, time.monotonic() + _AFTER_END_S)
        except (DeadlineOver, Ended):
            self._drop()
        raise TimedOut(
            f"{self.name}: a command took longer than {timeout_s:g} s"
            + ("" if ended else " and could not be ended"),
            hint="" if ended else "It may still run there: look with `phoenix shell`.",
            detail=collect.answer(0).words(1 << 16),
        )

    def _end_inside(self, command: Command) -> bool:
        """Ends a command with all it started, through a second shell; whether that worked."""
        with contextlib.suppress(PhoenixError), Shell(self._way_in, open_s=10.0) as second:
            second.end_marked(COMMAND_ENV, command.id, groups=True)
            return True
        return False


class _Collect:
    """Takes a command's outputs: keeps or passes them on, and cuts them into lines if asked."""

    def __init__(
        self, on_line: OnLine | None, to: Mapping[Output, BinaryIO | None], keep: int | None
    ) -> None:
        self._on_line = on_line
        self._to = to
        self._kept: dict[Output, Kept] = {"out": Kept(keep), "err": Kept(keep)}
        self._open_line: dict[Output, bytes] = {"out": b"", "err": b""}

    def out(self, data: bytes) -> None:
        """Takes standard output."""
        self._take("out", data)

    def err(self, data: bytes) -> None:
        """Takes standard error."""
        self._take("err", data)

    def _take(self, output: Output, data: bytes) -> None:
        to = self._to[output]
        if to is not None:
            to.write(data)
            to.flush()
            return
        self._kept[output].add(data)
        if self._on_line is not None:
            *lines, rest = (self._open_line[output] + data).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            self._open_line[output] = rest
            for line in lines:
                self._on_line(output, line)

    def answer(self, status: int) -> Answer:
        """All that came; a last line without a newline is passed on now."""
        outputs: tuple[Output, Output] = ("out", "err")
        for output in outputs:
            if self._on_line is not None and self._open_line[output]:
                self._on_line(output, self._open_line[output])
                self._open_line[output] = b""
        return Answer(status, self._kept["out"].value(), self._kept["err"].value())


def _short_text(data: bytes | BinaryIO) -> tuple[bytes | BinaryIO, str | None]:
    """The data and, of a short text, the text: that can be told in a script."""
    if not isinstance(data, bytes):
        if data.seek(0, io.SEEK_END) > _SHORT:
            return data, None
        data.seek(0)
        data = data.read()
    if len(data) > _SHORT or b"\0" in data:
        return data, None
    try:
        return data, data.decode()
    except UnicodeDecodeError:
        return data, None


def _blocks(stdin: bytes | BinaryIO) -> tuple[int | None, Iterator[bytes]]:
    """The input's size (None: no input) and its blocks."""
    if isinstance(stdin, bytes):
        return (len(stdin) or None), iter((stdin,))
    size = stdin.seek(0, io.SEEK_END)
    stdin.seek(0)
    return size, _read(stdin, size)


def _read(stdin: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        block = stdin.read(min(_BLOCK, size))
        if not block:
            raise OSError(f"the file became {size} bytes shorter while it was read")
        size -= len(block)
        yield block


# The new file is made beside the old one, by nobody else (`set -C`) and unreadable for others
# until it has its owner and mode. Builtins do what they can: each program costs a millisecond.
_PUT = r"""
path=%(path)s mode=%(mode)s
if [ -L "$path" ]; then path=$(readlink -f "$path") || exit 1; fi
if [ -d "$path" ]; then echo "$path is a folder" >&2; exit 1; fi
case $path in */*) new=${path%%/*}/%(new)s ;; *) new=./%(new)s ;; esac
trap 'trap "" HUP INT PIPE TERM; rm -f "$new"' EXIT
trap 'exit 1' HUP INT PIPE TERM
umask 077
set -C
%(write)s
if [ -e "$path" ]; then
  if ! { [ -O "$path" ] && [ -G "$path" ] && [ -G "$new" ]; }; then
    chown "$(stat -c %%u:%%g "$path")" "$new" || exit 1
  fi
  if [ -z "$mode" ]; then mode=$(stat -c %%a "$path") || exit 1; fi
fi
chmod "${mode:-%(new_mode)s}" "$new" && mv -f "$new" "$path" || exit 1
trap - EXIT
"""
_WRITE_TEXT = """printf %%s %s >"$new" || exit 1"""
_WRITE_INPUT = """cat >"$new" || exit 1
if [ "$(wc -c <"$new")" -ne %d ]; then echo "the transfer broke off" >&2; exit 1; fi"""
