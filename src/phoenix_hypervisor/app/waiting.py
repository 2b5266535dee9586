"""Waits for a step of healing that holds the stack just now: it is over soon."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.driver import Run
from phoenix_hypervisor.model.errors import StackBusy

LIMIT_S = 120.0
"""A restart takes seconds; one that makes a guest anew may take longer, and is not waited for."""
_AGAIN_S = 0.5


@asynccontextmanager
async def hold(
    session: Session, command: str, tell: Callable[[str], None], limit_s: float = LIMIT_S
) -> AsyncIterator[Run]:
    """As `Session.hold`, but waits `limit_s` for healing, which `tell` is told once.

    Raises `StackBusy` at once where anybody else holds it.
    """
    loop = asyncio.get_running_loop()
    until, told = loop.time() + limit_s, False
    async with AsyncExitStack() as stack:
        while True:
            try:
                run = await stack.enter_async_context(session.hold(command))
                break
            except StackBusy as error:
                if not error.heals or loop.time() >= until:
                    raise
                if not told:
                    told = True
                    tell(f"{error.message}; it is waited for, up to {limit_s:.0f} s")
            await asyncio.sleep(min(_AGAIN_S, limit_s))
        yield run
