"""A lock on a machine that is reached by a shell, so that two who work on it never mix.

It is a `flock` held by a shell there, which ends with its connection, and when it hears nothing for
a minute: however the holder dies, the lock is gone, and there is never a stale one to remove. The
holder in its turn asks all the time whether that shell is still there; without it, it stops.

A run that may cut its own connection, by a restart of the machine say, takes it again instead,
and stops only where somebody else has had it meanwhile.
"""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.driver import BrokenOff, Held, Run
from phoenix_hypervisor.model.errors import DriverError, PhoenixError, TimedOut, UnknownOutcome

_FOLDER = "/run/lock"
_OPEN_S = 60.0
_PAUSE_S = 20.0
_ANSWER_S = 25.0
_SILENCE_S = 60
"""Longer than pause and answer together: the holder knows of a loss before another can hold it."""
_AGAIN_S = 2.0
_BEAT = b"beat\n"
# It tells what the one before left, writes down the line that it is given, and holds on until its
# input ends or is silent. Who ends in order gives a last line, which stays written instead. For
# bash, which every node has: a POSIX shell's `read` knows no time limit.
_SCRIPT = """\
umask 077; mkdir -p {folder}; exec 9>>{file} || exit 3
if flock -n 9; then
  echo held; tr -d '\\n' <{file}; echo
  IFS= read -r -t {silence} line || exit 0
  printf '%s' "$line" >{file}; echo noted
  while IFS= read -r -t {silence} line; do
    [ "$line" = beat ] || {{ printf '%s' "$line" >{file}; exit; }}
    echo beat
  done
else echo busy; cat {file}; fi"""


@dataclass(frozen=True, slots=True)
class Place:
    """What is locked: `what` for people, by a file of the name `name` on the machine `machine`.

    `way_in` gives an argument vector that starts a POSIX shell as root there, wherever it is now.
    """

    name: str
    what: str
    machine: str
    way_in: Callable[[], Sequence[str]]


@asynccontextmanager
async def hold(place: Place, run: Run) -> AsyncIterator[Held]:
    """Holds it. Raises `StackBusy` at once where another one holds it.

    Where the lock is lost meanwhile, the task that holds it is cancelled, and `UnknownOutcome` is
    raised at the end.
    """
    lock = _Lock(place, run)
    try:
        held = Held(list(await lock.take()))
        async with _watched(lock, held):
            try:
                yield held
            except BaseException as error:
                if not filelock.is_perhaps_left(held, error):
                    lock.leave(held)
                raise
            lock.leave(held)
    finally:
        await lock.close()


@asynccontextmanager
async def _watched(lock: "_Lock", held: Held) -> AsyncIterator[None]:
    """Cancels the task that is in here when the lock is lost, and says why."""
    holder = asyncio.current_task()
    lost = False

    async def watch() -> None:
        nonlocal lost
        while await lock.answers() or await lock.take_again(held):
            await lock.pause()
        lost = True
        if holder is not None:
            holder.cancel()

    watching = asyncio.create_task(watch())
    try:
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    except asyncio.CancelledError:
        if not lost:
            raise
    if lost:
        if holder is not None:
            holder.uncancel()
        raise UnknownOutcome(
            f"the connection to {lock.place.machine} that held the lock of the {lock.place.what} "
            "broke, so the work was stopped: another apply could have begun",
            hint="run it again: it goes on where this stopped",
        )


class _TakenError(Exception):
    """Another one holds it: what that wrote."""

    def __init__(self, holder: Mapping[str, object]) -> None:
        super().__init__()
        self.holder = holder


class _Lock:
    """The shell there that holds the lock."""

    def __init__(self, place: Place, run: Run) -> None:
        self.place = place
        self._run = run
        self._process: asyncio.subprocess.Process | None = None

    async def take(self) -> Sequence[BrokenOff]:
        """The runs that had it and were killed. Raises `StackBusy`."""
        try:
            return filelock.broken_off(await self._take(None))
        except _TakenError as error:
            raise filelock.busy(self.place.what, error.holder) from None

    async def take_again(self, held: Held) -> bool:
        """After the connection broke: whether it is held again, and nobody had it meanwhile."""
        while self._run.cuts:
            await self.close()
            try:
                left = await self._take(held.broken_off)
            except _TakenError as error:
                # Our own shell there ends when it hears nothing.
                if error.holder.get("run") != self._run.id:
                    return False
            except (PhoenixError, OSError):
                pass  # not to be reached now
            else:
                # A machine that restarted has forgotten the file; who ended has left words in it.
                return not left or _parsed(left).get("run") == self._run.id
            await asyncio.sleep(_AGAIN_S)
        return False

    async def answers(self) -> bool:
        """Whether the shell there is still with us."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return False
        try:
            async with asyncio.timeout(_ANSWER_S):
                process.stdin.write(_BEAT)
                await process.stdin.drain()
                return await process.stdout.readline() == _BEAT
        except (TimeoutError, OSError):
            return False

    async def pause(self) -> None:
        """Until the next question, or the shell's end."""
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S):
                    await self._process.wait()

    def leave(self, held: Held) -> None:
        """Leaves written that it was here, and what is still to be settled."""
        if self._process is not None and self._process.stdin is not None:
            before = filelock.remembered(held.broken_off)
            line = json.dumps({"ended": self._run.id, "before": before})
            with suppress(OSError):  # the connection is gone, and with it the lock
                self._process.stdin.write(f"{line}\n".encode())

    async def close(self) -> None:
        """Ends the shell, and with it the lock."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()

    async def _take(self, before: Sequence[BrokenOff] | None) -> bytes:
        """What the last holder left written; writes down ourselves, with the runs `before` us.

        None: those that the last one tells.
        """
        self._process = process = await asyncio.create_subprocess_exec(
            *self.place.way_in(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us: it must not end the lock under our steps
        )
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        if stdin is None or stdout is None or stderr is None:
            raise DriverError("a process without pipes was started")
        what, machine = self.place.what, self.place.machine
        left = b""
        try:
            async with asyncio.timeout(_OPEN_S):
                stdin.write(f"exec bash -c {shlex.quote(self._script())}\n".encode())
                answer = (await stdout.readline()).strip()
                if answer == b"held":
                    left = (await stdout.readline()).strip()
                    known = filelock.broken_off(left) if before is None else before
                    stdin.write(json.dumps(filelock.told(self._run, known)).encode() + b"\n")
                    answer = (await stdout.readline()).strip()
                elif answer == b"busy":
                    stdin.close()
                    raise _TakenError(_parsed(await stdout.read()))
                words = b"" if answer == b"noted" else await stderr.read()
        except TimeoutError:
            raise TimedOut(
                f"{machine} did not say within {_OPEN_S:.0f} s who holds the {what}",
                hint="is the node overloaded? nothing was changed: run it again",
            ) from None
        except OSError:
            words, answer = b"the shell there ended", b""
        if answer == b"noted":
            return left
        why = words.decode(errors="replace").strip()
        raise UnknownOutcome(
            f"the lock of the {what} on {machine} can't be had: {why or 'no answer'}"
        )

    def _script(self) -> str:
        file = shlex.quote(f"{_FOLDER}/{self.place.name}.lock")
        return _SCRIPT.format(folder=shlex.quote(_FOLDER), file=file, silence=_SILENCE_S)


def _parsed(told: bytes) -> Mapping[str, object]:
    try:
        holder = json.loads(told)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
