"""The lock of a stack on its node, so that applies from two machines never mix.

It is a `flock` held by a shell on the node, which ends with its connection, and when it hears
nothing for a minute: however the holder dies, the lock is gone, and there is never a stale one to
remove. The holder in its turn asks all the time whether that shell is still there; without it, it
stops.
"""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.driver import BrokenOff, Held, Run
from phoenix_hypervisor.model.errors import DriverError, TimedOut, UnknownOutcome

_FOLDER = "/run/lock"
_OPEN_S = 60.0
_PAUSE_S = 20.0
_ANSWER_S = 25.0
_SILENCE_S = 60
"""Longer than pause and answer together: the holder knows of a loss before another can hold it."""
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


@asynccontextmanager
async def hold(channel: Channel, stack: str, run: Run) -> AsyncIterator[Held]:
    """Holds the stack on the node. Raises `StackBusy` at once where another one holds it.

    Where the lock is lost meanwhile, the task that holds it is cancelled, and `UnknownOutcome` is
    raised at the end.
    """
    readable = re.sub(r"[^a-z0-9_-]+", "-", stack.lower())[:60]  # as PVE's tags: without case
    file = shlex.quote(f"{_FOLDER}/phoenix-{readable}.lock")
    script = _SCRIPT.format(folder=shlex.quote(_FOLDER), file=file, silence=_SILENCE_S)
    await channel.run(
        "true", f"the lock of the stack {stack}"
    )  # a clear error where there's no way
    process = await asyncio.create_subprocess_exec(
        *channel.inside("bash", "-c", script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for us: it must not end the lock under our steps
    )
    try:
        held = Held(list(await _take(process, channel, stack, run)))
        async with _watched(process, channel, stack):
            try:
                yield held
            except BaseException as error:
                if not filelock.is_perhaps_left(held, error):
                    _leave(process, held)
                raise
            _leave(process, held)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _watched(
    process: asyncio.subprocess.Process, channel: Channel, stack: str
) -> AsyncIterator[None]:
    """Cancels the task that is in here when the shell on the node is gone, and says why."""
    holder = asyncio.current_task()
    lost = False

    async def watch() -> None:
        nonlocal lost
        while await _answers(process):
            await _pause(process)
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
            f"the connection to {channel.node} that held the lock of the stack {stack} broke, so "
            "the work was stopped: another apply could have begun",
            hint="run it again: it goes on where this stopped",
        )


async def _answers(process: asyncio.subprocess.Process) -> bool:
    if process.stdin is None or process.stdout is None:
        return False
    try:
        async with asyncio.timeout(_ANSWER_S):
            process.stdin.write(_BEAT)
            await process.stdin.drain()
            return await process.stdout.readline() == _BEAT
    except (TimeoutError, OSError):
        return False


async def _pause(process: asyncio.subprocess.Process) -> None:
    """Until the next question, or the process's end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PAUSE_S):
            await process.wait()


def _leave(process: asyncio.subprocess.Process, held: Held) -> None:
    if process.stdin is not None:
        before = filelock.remembered(held.broken_off)
        line = json.dumps({"before": before}) if before else ""
        with suppress(OSError):  # the connection is gone, and with it the lock
            process.stdin.write(f"{line}\n".encode())


async def _take(
    process: asyncio.subprocess.Process, channel: Channel, stack: str, run: Run
) -> Sequence[BrokenOff]:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise DriverError("a process without pipes was started")
    before: Sequence[BrokenOff] = ()
    try:
        async with asyncio.timeout(_OPEN_S):
            answer = (await stdout.readline()).strip()
            if answer == b"held":
                before = filelock.broken_off((await stdout.readline()).strip())
                stdin.write(json.dumps(filelock.told(run, before)).encode() + b"\n")
                answer = (await stdout.readline()).strip()
            elif answer == b"busy":
                stdin.close()
                raise filelock.busy(stack, _read(await stdout.read()))
            words = b"" if answer == b"noted" else await stderr.read()
    except TimeoutError:
        raise TimedOut(
            f"{channel.node} did not say within {_OPEN_S:.0f} s who holds the stack {stack}",
            hint="is the node overloaded? nothing was changed: run it again",
        ) from None
    if answer == b"noted":
        return before
    why = words.decode(errors="replace").strip()
    raise UnknownOutcome(
        f"the lock of the stack {stack} on {channel.node} can't be had: {why or 'no answer'}"
    )


def _read(told: bytes) -> dict[str, object]:
    try:
        holder = json.loads(told)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
