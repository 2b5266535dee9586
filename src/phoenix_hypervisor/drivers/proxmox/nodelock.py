"""The lock of a stack on its node, so that applies from two machines never mix.

It is a `flock` held by a shell on the node, which ends with its connection: however the holder
dies, the lock is gone, and there is never a stale one to remove.
"""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.driver import BrokenOff, Run
from phoenix_hypervisor.model.errors import DriverError, TimedOut, UnknownOutcome

_OPEN_S = 60.0
# It tells what the one before left, writes down the line that it is given, and holds on until its
# input ends. Who ends in order gives a last line, which stays written instead.
_SCRIPT = """\
umask 077; mkdir -p /run/lock; exec 9>>{file} || exit 3
if flock -n 9; then
  echo held; tr -d '\\n' <{file}; echo
  IFS= read -r line || exit 0
  printf '%s' "$line" >{file}; echo noted
  IFS= read -r line && printf '%s' "$line" >{file}
else echo busy; cat {file}; fi"""


@asynccontextmanager
async def hold(channel: Channel, stack: str, run: Run) -> AsyncIterator[Sequence[BrokenOff]]:
    """Holds the stack on the node. Raises `StackBusy` at once where another one holds it.

    Gives the runs that were killed while they held it.
    """
    readable = re.sub(r"[^a-z0-9_-]+", "-", stack.lower())[:60]  # as PVE's tags: without case
    script = _SCRIPT.format(file=shlex.quote(f"/run/lock/phoenix-{readable}.lock"))
    await channel.run(
        "true", f"the lock of the stack {stack}"
    )  # a clear error where there's no way
    process = await asyncio.create_subprocess_exec(
        *channel.inside("sh", "-c", script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        before = await _take(process, channel, stack, run)
        try:
            yield before
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise  # perhaps in a hurry: what it wrote stays for the next one
        except BaseException:
            _leave(process, {"before": filelock.remembered(before)} if before else None)
            raise
        _leave(process, None)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _leave(process: asyncio.subprocess.Process, content: object) -> None:
    if process.stdin is not None:
        line = "" if content is None else json.dumps(content)
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
