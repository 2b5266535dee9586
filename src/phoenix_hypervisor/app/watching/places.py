"""Keeps the ways into watched guests open from one question to the next."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Check
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.verify.place import GuestPlace

_SHELLS = 2
"""Of one guest at once: a check that hangs inside doesn't stop the others. Each check `llm` has one
more for itself, since it may take minutes.
"""
_OPEN = 64
"""Guests with a way in that is kept open; each is a process here."""


@dataclass(slots=True, eq=False)
class _Open:
    place: GuestPlace
    leave: AsyncExitStack
    quick: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SHELLS))
    users: int = 0
    dropped: bool = False

    async def end_if_unused(self) -> None:
        if self.dropped and not self.users:
            await self.leave.aclose()


@dataclass(slots=True)
class Places:
    """The guests of one session as their checks see them."""

    session: Session
    _open: dict[Address, _Open] = field(default_factory=dict)
    _turns: dict[Address, asyncio.Lock] = field(default_factory=dict)

    @asynccontextmanager
    async def at(self, guest: Guest, check: Check) -> AsyncIterator[GuestPlace]:
        """The guest's place for one of its checks, which has its shell there and waits for none;
        opened where it isn't yet. Raises what the driver raises.
        """
        async with self._turns.setdefault(guest.address, asyncio.Lock()):
            used = self._open.pop(guest.address, None) or await self._enter(guest)
            self._open[guest.address] = used  # the last one used stands last
        used.users += 1
        try:
            shares = check.source == "inside" and not _is_long(check)
            async with used.quick if shares else nullcontext():
                yield used.place
        finally:
            used.users -= 1
            await used.end_if_unused()
            if used.place.is_inside:
                await self._drop_oldest()

    async def drop(self, address: Address) -> None:
        """Its way in leads nowhere any more, or elsewhere: the next question opens a new one."""
        if (found := self._open.pop(address, None)) is not None:
            found.dropped = True
            await found.end_if_unused()

    async def close(self) -> None:
        """Closes all of them."""
        for address in list(self._open):
            await self.drop(address)

    async def _enter(self, guest: Guest) -> _Open:
        session, leave = self.session, AsyncExitStack()
        shells = _SHELLS + sum(_is_long(check) for check in guest.checks)
        place = GuestPlace(
            session.driver, guest.address, session.secrets.lookup, ip=guest.ip, shells=shells
        )
        return _Open(await leave.enter_async_context(place), leave)

    async def _drop_oldest(self) -> None:
        inside = [address for address, one in self._open.items() if one.place.is_inside]
        for address in inside[: max(0, len(inside) - _OPEN)]:
            await self.drop(address)


def _is_long(check: Check) -> bool:
    return check.source == "inside" and check.kind == "llm"
