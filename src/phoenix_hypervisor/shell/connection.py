"""One running shell process and its three pipes, spoken to without threads and without deadlock.

All three pipes are watched at once: a command may write megabytes to one output while the other
is silent, and may not read its input until it has written.
"""

import contextlib
import os
import secrets
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Protocol

from phoenix_hypervisor.shell import protocol
from phoenix_hypervisor.shell.answer import text

_BLOCK = 1 << 16
_LAST_WORDS = 2000
_LOOK_EVERY_S = 0.5

Take = Callable[[bytes], None]


class Ended(Exception):
    """The shell process or its pipes are gone; the message holds its last words.

    `Shell` makes an error of it that users see.
    """


class DeadlineOver(Exception):
    """The deadline came before the answer was complete."""


class Talk(Protocol):
    """Something to be written to the shell, and what takes the answer."""

    def next_block(self) -> bytes:
        """What is to be written next; empty: nothing for now."""

    def take_out(self, data: bytes) -> None:
        """Takes what came on standard output."""

    def take_err(self, data: bytes) -> None:
        """Takes what came on standard error."""

    @property
    def begun(self) -> bool:
        """Whether anything of it was written: what is read before belongs to nobody."""

    @property
    def done(self) -> bool:
        """Whether the answer is complete."""


class Greeting:
    """The first words with a new shell."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._token = secrets.token_hex(12)
        self._blocks = [protocol.greeting(env, self._token)]
        self._seen = b""

    def next_block(self) -> bytes:
        """The greeting, once."""
        return self._blocks.pop() if self._blocks else b""

    def take_out(self, data: bytes) -> None:
        """Looks for the token; a login message may come before it."""
        self._seen = (self._seen + data)[-_BLOCK:]

    def take_err(self, data: bytes) -> None:
        """Kept by the connection as its last words."""

    @property
    def begun(self) -> bool:
        """Always: a new shell's first words may say why it is none."""
        return True

    @property
    def done(self) -> bool:
        """Whether the token came."""
        return self._token.encode() in self._seen


class Exchange:
    """One command on its way. Its input, if any, is written only when its begin mark has come."""

    def __init__(
        self, command: protocol.Command, stdin: Iterator[bytes], out: Take, err: Take
    ) -> None:
        self._text: bytes | None = command.text()
        self._stdin: Iterator[bytes] | None = stdin
        self._take_out, self._take_err = out, err
        self._out = protocol.Stream(command.begin, command.end, has_tail=True)
        self._err = protocol.Stream(command.begin, command.end, has_tail=False)

    def next_block(self) -> bytes:
        """The command's text, then its input."""
        if self._text is not None:
            first, self._text = self._text, None
            return first
        if self._stdin is not None and self._out.begun:
            block = next(self._stdin, None)
            if block is not None:
                return block
            self._stdin = None
        return b""

    def take_out(self, data: bytes) -> None:
        """Passes on what is the command's own."""
        if self._out.ended is None and (own := self._out.feed(data)):
            self._take_out(own)

    def take_err(self, data: bytes) -> None:
        """Passes on what is the command's own."""
        if self._err.ended is None and (own := self._err.feed(data)):
            self._take_err(own)

    @property
    def begun(self) -> bool:
        """Whether the command was written."""
        return self._text is None

    @property
    def done(self) -> bool:
        """Whether both end marks came."""
        return self._out.ended is not None and self._err.ended is not None

    @property
    def result(self) -> tuple[int, bool]:
        """The exit status, and whether the command left processes in the background."""
        status, _, left = (self._out.ended or b"").strip().partition(b" ")
        return int(status), left == b"1"


class Connection:
    """A shell process. For one thread at a time, but `kill` may come from any."""

    def __init__(self, way_in: Sequence[str]) -> None:
        """Starts it. Raises `OSError` where the program is missing."""
        self._process = subprocess.Popen(
            list(way_in),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is for us to handle, not for it
        )
        self._last_words = b""
        self._unwritten = memoryview(b"")
        self._drained = False
        for fd in self._fds():
            os.set_blocking(fd, False)

    def greet(self, env: Mapping[str, str], open_s: float) -> None:
        """Waits until it answers. Raises `Ended` or `DeadlineOver`."""
        self.talk(Greeting(env), time.monotonic() + open_s)
        self._unwritten = memoryview(protocol.PREPARE)

    def talk(self, talk: Talk, deadline: float) -> None:
        """Writes and reads until the answer is complete. `deadline` is of `time.monotonic`.

        Raises `DeadlineOver` (the same talk may then be given again, to go on) or `Ended`.
        """
        stdin, stdout, stderr = self._fds()
        self._last_words = b""
        takers = {stdout: talk.take_out, stderr: self._keeping(talk.take_err)}
        if not talk.begun:
            self._begin(talk)
        with selectors.PollSelector() as watch:
            for fd in takers:
                watch.register(fd, selectors.EVENT_READ)
            while not talk.done:
                self._unwritten = self._unwritten or memoryview(talk.next_block())
                _watch_writing(watch, stdin, bool(self._unwritten))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise DeadlineOver
                ready = watch.select(min(left, _LOOK_EVERY_S))
                if not ready and not self.alive:
                    # Something that it left running here holds its outputs open.
                    raise Ended(self._farewell())
                for key, _ in ready:
                    if key.fd == stdin:
                        self._write(stdin)
                    elif not self._read(key.fd, takers[key.fd]):
                        watch.unregister(key.fd)
                        if key.fd == stdout:
                            self._read(stderr, takers[stderr])
                            raise Ended(self._farewell())

    def _fds(self) -> tuple[int, int, int]:
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        stdin, stdout, stderr = (-1 if pipe is None else pipe.fileno() for pipe in pipes)
        return stdin, stdout, stderr

    def _keeping(self, take: Take) -> Take:
        def keep(data: bytes) -> None:
            self._last_words = (self._last_words + data)[-_LAST_WORDS:]
            take(data)

        return keep

    def _write(self, fd: int) -> None:
        try:
            written = os.write(fd, self._unwritten[:_BLOCK])
        except BlockingIOError:
            return
        except OSError as error:  # a broken pipe: nobody reads any more
            raise Ended(self._farewell()) from error
        self._unwritten = self._unwritten[written:]

    def _begin(self, talk: Talk) -> None:
        """Drops what belongs to nobody, and writes at once: mostly there is room for it."""
        stdin, stdout, stderr = self._fds()
        for fd in (stdout, stderr):
            self._read(fd, _nobody)
        self._unwritten = self._unwritten or memoryview(talk.next_block())
        with contextlib.suppress(OSError):  # what is wrong is seen by waiting
            written = os.write(stdin, self._unwritten[:_BLOCK])
            self._unwritten = self._unwritten[written:]

    @staticmethod
    def _read(fd: int, take: Take) -> bool:
        """Reads what is there; False at the end of the stream."""
        try:
            data = os.read(fd, _BLOCK)
        except BlockingIOError:
            return True
        if data:
            take(data)
        return bool(data)

    def _farewell(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        words = text(protocol.without_marks(self._last_words)).strip()
        status = self._process.returncode
        return words or ("its pipes are closed" if status is None else f"exit status {status}")

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends the process on this side. A `talk` in another thread sees its end."""
        if self.alive:
            self._process.kill()

    def close(self) -> None:
        """Ends it and frees its pipes. Not while another thread talks."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._drained:
            self.kill()
        try:
            self._process.wait(0.5)  # a shell ends by itself when its input does
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None and not self._drained:
                pipe.close()

    def drain(self) -> None:
        """Reads off and drops, in a thread, what background processes of a command still write.

        Else they would stand still when the pipe is full. It ends with the process.
        """
        self._drained = True
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), True)
                threading.Thread(target=_drop, args=(pipe,), daemon=True).start()


def _nobody(data: bytes) -> None:
    """Drops what a background process of an earlier command wrote."""


def _watch_writing(watch: selectors.BaseSelector, fd: int, wanted: bool) -> None:
    if wanted != (fd in watch.get_map()):
        if wanted:
            watch.register(fd, selectors.EVENT_WRITE)
        else:
            watch.unregister(fd)


def _drop(pipe: IO[bytes]) -> None:
    with pipe:
        while pipe.read(_BLOCK):
            pass
