"""The lock of a stack on its node, so that applies from two machines never mix."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from phoenix_hypervisor.drivers import shelllock
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.driver import Held, Run


@asynccontextmanager
async def hold(channel: Channel, stack: str, run: Run) -> AsyncIterator[Held]:
    """Holds the stack on the node. Raises as `shelllock.hold` does, and as the channel."""
    readable = re.sub(r"[^a-z0-9_-]+", "-", stack.lower())[:60]  # as PVE's tags: without case
    await channel.run("true", f"the lock of the stack {stack}")  # an error where there's no way
    place = shelllock.Place(
        f"phoenix-{readable}", f"stack {stack}", channel.node, lambda: channel.inside("sh")
    )
    async with shelllock.hold(place, run) as held:
        yield held
