"""The lock of a stack on its node, so that applies from two machines never mix.

It is a `flock` held by a shell on the node, which ends with its connection: however the holder
dies, the lock is gone, and there is never a stale one to remove.
"""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import DriverError, TimedOut, UnknownOutcome

_OPEN_S = 60.0
# The first line that it reads is what it writes down; then it holds on until its input ends.
_SCRIPT = """\
umask 077; mkdir -p /run/lock; exec 9>>{file} || exit 3
if flock -n 9; then IFS= read -r line; printf '%s' "$line" >{file}; echo held; cat >/dev/null
else echo busy; cat {file}; fi"""


@asynccontextmanager
async def hold(channel: Channel, stack: str, run: Run) -> AsyncIterator[None]:
    """Holds the stack on the node. Raises `StackBusy` at once where another one holds it."""
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
        await _take(process, channel, stack, run)
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _take(
    process: asyncio.subprocess.Process, channel: Channel, stack: str, run: Run
) -> None:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise DriverError("a process without pipes was started")
    stdin.write(json.dumps(filelock.told(run)).encode() + b"\n")
    try:
        async with asyncio.timeout(_OPEN_S):
            answer = (await stdout.readline()).strip()
    except TimeoutError:
        raise TimedOut(
            f"{channel.node} did not say within {_OPEN_S:.0f} s who holds the stack {stack}",
            hint="is the node overloaded? nothing was changed: run it again",
        ) from None
    if answer == b"held":
        return
    if answer == b"busy":
        stdin.close()
        told = await stdout.read()
        raise filelock.busy(stack, _read(told))
    words = (await stderr.read()).decode(errors="replace").strip()
    raise UnknownOutcome(
        f"the lock of the stack {stack} on {channel.node} can't be had: {words or 'no answer'}"
    )


def _read(told: bytes) -> dict[str, object]:
    try:
        holder = json.loads(told)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
