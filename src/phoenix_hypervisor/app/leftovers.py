"""Ends what runs that were killed left running in the stack's guests.

Configuring looks by itself into each guest that it enters. A killed run's commands may also go on
in guests that need nothing now, such as a check that hangs.
"""

import asyncio
from collections.abc import Sequence

from phoenix_hypervisor.model.driver import BrokenOff, Driver
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.observed import Observed, SeenGuest
from phoenix_hypervisor.shell.leftovers import end_runs

_AT_ONCE = 4


async def end(
    driver: Driver, stack: str, observed: Observed, broken_off: Sequence[BrokenOff]
) -> list[str]:
    """Ends them; gives a line for each guest where something ran, or that can't be looked into.

    Nothing is looked at where no run is known to have been broken off.
    """
    if not broken_off or not driver.has_inside:
        return []
    runs = [one.id for one in broken_off]
    running = [
        seen
        for seen in observed.guests.values()
        if seen.stack == stack and seen.complete and seen.state == "running"
    ]
    turns = asyncio.Semaphore(_AT_ONCE)

    async def look(seen: SeenGuest) -> str | None:
        async with turns:
            try:
                way_in = await driver.way_in(seen.address)
                ended = await asyncio.to_thread(end_runs, way_in, runs, seen.address)
            except PhoenixError as error:
                return f"whether a broken-off run goes on there is not known: {error.message}"
        if not ended:
            return None
        names = ", ".join(dict.fromkeys(ended))
        return f"{seen.address}: ended what a broken-off run left running: {names}"

    return [line for line in await asyncio.gather(*map(look, running)) if line]
