"""Finds the running guest that a command goes into."""

from typing import TYPE_CHECKING

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import NotFound, PhoenixError, Unsupported
from phoenix_hypervisor.model.observed import SeenGuest

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session


async def present(session: "Session", word: str) -> SeenGuest:
    """A guest of this stack that is there, in whatever state. Raises what is in the way."""
    address = session.one(word)
    if not session.driver.has_inside:
        raise Unsupported(f"on {session.driver.name} guests have no inside: nothing real was made")
    observed = await session.driver.observe(session.desired)
    seen = observed.guests.get(address)
    if seen is None and address in observed.unknown:
        raise PhoenixError(f"{address} can't be seen: {observed.unknown[address]}")
    if seen is None:
        raise NotFound(f"{address} is not there", hint="`phoenix apply` makes it")
    if seen.stack != session.desired.stack:
        raise PhoenixError(f"{address} was not made by this stack: it is left alone")
    return seen


async def running(session: "Session", word: str) -> Address:
    """The address of a guest of this stack that runs. Raises what is in the way."""
    seen = await present(session, word)
    if seen.state != "running":
        raise PhoenixError(f"{seen.address} is {seen.state}", hint="`phoenix apply` starts it")
    return seen.address
