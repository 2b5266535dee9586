"""Ends what runs that were killed left running in the stack's guests.

Configuring looks by itself into each guest that it enters. A killed run's commands may also go on
in guests that need nothing now, such as a check that hangs.
"""

import asyncio
from collections.abc import Callable

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.driver import Driver, Held
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.event import EventKind
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.shell.leftovers import end_runs

_LIMIT_S = 90.0
"""For all guests together: an apply must not wait for ever for what it could do without."""


async def end(
    driver: Driver,
    stack: str,
    observed: Observed,
    held: Held,
    tell: Callable[[EventKind, Address, str], None],
    *,
    limit_s: float = _LIMIT_S,
) -> list[str]:
    """Ends them; gives a line for each guest where something ran, or that can't be looked into.

    Nothing is looked at where no run is known to have been broken off. `tell` takes what begins and
    ends. Runs that are settled are taken out of `held`; while some guest can't be looked into,
    none is.
    """
    broken_off = tuple(held.broken_off)
    runs = [one.id for one in broken_off]
    running = [
        seen
        for seen in observed.guests.values()
        if seen.stack == stack and seen.complete and seen.state == "running"
    ]
    if not broken_off or not driver.has_inside:
        running = []
    turns = asyncio.Semaphore(driver.limits.parallel)
    unknown: list[Address] = []

    async def look(seen: SeenGuest) -> str | None:
        try:
            async with turns:
                tell("progress", seen.address, "looking for what a broken-off run left running")
                way_in = await driver.way_in(seen.address)
                ended = await asyncio.to_thread(end_runs, way_in, runs, seen.address)
        except PhoenixError as error:
            unknown.append(seen.address)
            return f"{seen.address}: a broken-off run may go on there: {error.message}"
        tell("finished", seen.address, "")
        if not ended:
            return None
        names = ", ".join(dict.fromkeys(ended))
        return f"{seen.address}: ended what a broken-off run left running: {names}"

    async def look_in_time(seen: SeenGuest) -> str | None:
        try:
            async with asyncio.timeout_at(over):
                return await look(seen)
        except TimeoutError:
            unknown.append(seen.address)
            return f"{seen.address}: a broken-off run may go on there: it did not answer in time"

    over = asyncio.get_running_loop().time() + limit_s
    lines = await asyncio.gather(*map(look_in_time, running))
    if not unknown:
        held.broken_off[:] = [one for one in held.broken_off if one not in broken_off]
    return [line for line in lines if line]
