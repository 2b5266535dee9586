"""Runs one script through a way in (a vector that starts a shell), within a time limit."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from phoenix_hypervisor.model.errors import DriverError, TimedOut


class Said(NamedTuple):
    """How it ended, and what it wrote."""

    status: int
    out: str
    err: str


async def run(way_in: Sequence[str], script: str, what: str, limit_s: float) -> Said:
    """Runs it to its end. `what` is for the message of `TimedOut`; then the process is ended."""
    process = await asyncio.create_subprocess_exec(
        *way_in,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate(script.encode())
    except TimeoutError:
        raise TimedOut(f"{what}: not done within {limit_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    status = process.returncode if process.returncode is not None else -1
    return Said(status, out.decode(errors="replace"), err.decode(errors="replace"))


async def must(way_in: Sequence[str], script: str, failure: str, limit_s: float) -> str:
    """Its output. Raises `DriverError` with `failure` where it ends badly, and `TimedOut`."""
    said = await run(way_in, script, failure, limit_s)
    if said.status:
        error = DriverError(failure)
        error.detail = said.err.strip() or f"exit status {said.status}"
        raise error
    return said.out
