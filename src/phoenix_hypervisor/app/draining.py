"""Takes a replica out of its proxies before it is changed, and back when it serves again."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from phoenix_hypervisor import observe
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.features._nginx_peers import (
    drain_script,
    leads,
    standing_script,
    undrain_script,
)
from phoenix_hypervisor.features._nginx_replicas import Way, ways
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.driver import Driver, Tell
from phoenix_hypervisor.model.errors import CheckFailed, ConfigureFailed, PhoenixError
from phoenix_hypervisor.model.observed import GuestState, Observed
from phoenix_hypervisor.model.replicas import group
from phoenix_hypervisor.verify import run as verify
from phoenix_hypervisor.verify.place import GuestPlace

MOST_WAIT_S = 600
"""So long may requests that are under way take at most, whatever their route allows."""
T = TypeVar("T")

_LIMIT_S = 60.0
"""How long Nginx may take to read its configuration anew."""


def known(desired: Desired) -> dict[Address, tuple[Address, ...]]:
    """The proxies of each guest that has some."""
    return {at: tuple(way.proxy.address for way in some) for at, some in ways(desired).items()}


@dataclass(frozen=True, slots=True)
class Draining:
    """The proxies of one stack on its target, for the steps of a run.

    `observed` is what its plan was made from.
    """

    desired: Desired
    driver: Driver
    secrets: Secrets
    run_id: str
    observed: Observed

    async def drain(self, replica: Guest, tell: Tell) -> None:
        """No proxy leads a new request to it, and those under way are answered, or have had time.

        Raises `CheckFailed` where no other one would serve then, and `ConfigureFailed` where Nginx
        refuses.
        """
        await self.keep_one(replica, tell)
        await _all(self._take_out(replica, way, tell) for way in self._ways(replica))

    async def undrain(self, replica: Guest, tell: Tell) -> None:
        """Every proxy leads requests to it again. Raises `ConfigureFailed` where Nginx refuses."""
        for way in self._ways(replica):
            tell(f"taking it back into {way.proxy.name}")
            await self._run(way.proxy, undrain_script(replica.ip or ""), _LIMIT_S)

    async def _take_out(self, replica: Guest, way: Way, tell: Tell) -> None:
        tell(f"taking it out of {way.proxy.name}, and waiting for requests under way")
        wait_s = min(way.patience_s, MOST_WAIT_S)
        script = drain_script(replica.ip or "", wait_s)
        if left := await self._run(way.proxy, script, wait_s + _LIMIT_S):
            tell(f"{left} connections are still open after {wait_s} s: they will break")

    async def keep_one(self, replica: Guest, tell: Tell) -> None:
        """Raises `CheckFailed` where only this one serves.

        Where its own checks don't pass either, nobody loses anything by it: so what all of them
        fail can be mended.
        """
        standing = await _all(
            self._run(way.proxy, standing_script(), _LIMIT_S) for way in self._ways(replica)
        )
        others = [one for one in group(replica, self.desired) if one.address != replica.address]
        doors = [said for said in standing if leads(said, replica.ip or "")]
        if not doors:
            return
        asked = await _all(self._down(one) for one in others)
        down = dict(zip((one.address for one in others), asked, strict=True))
        for said in doors:
            serving = [one for one in others if not down[one.address] and leads(said, one.ip or "")]
            if not serving:
                break
        else:
            return
        if why := await self._down(replica):
            tell(f"it does not serve, nor does another one: {why}")
            return
        told = "; ".join(
            f"{one.name}: {down[one.address] or 'a proxy leads nobody to it'}" for one in others
        )
        first = next((one for one in others if down[one.address]), others[0])
        raise CheckFailed(
            f"{replica.name} is the only replica that serves, so it is left as it is: {told}",
            hint=f"`phoenix apply --target {first.name}` mends that one first",
        )

    async def _down(self, guest: Guest) -> str:
        """What its checks say against it, asked once; empty where all pass."""
        checks = [check.brief() for check in guest.checks]
        if not checks:
            return "" if await self._state(guest) == "running" else "it does not run"
        try:
            async with GuestPlace(
                self.driver, guest.address, self.secrets.lookup, ip=guest.ip, run=self.run_id
            ) as place:
                answers = await verify.ask(checks, place)
        except PhoenixError as error:
            return error.message
        failed = [f"{check.title}: {said.message}" for check, said in answers if not said.ok]
        return ", ".join(failed)

    async def _state(self, guest: Guest) -> GuestState:
        seen = (await observe.observe(self.desired, self.driver)).guests.get(guest.address)
        return seen.state if seen is not None else "absent"

    def _ways(self, replica: Guest) -> list[Way]:
        """Its proxies, but none that is somebody else's."""
        if not self.driver.has_inside or replica.ip is None:
            return []
        there = self.observed.guests
        return [
            way
            for way in ways(self.desired).get(replica.address, ())
            if way.proxy.address not in there
            or there[way.proxy.address].stack == self.desired.stack
        ]

    async def _run(self, proxy: Guest, script: str, limit_s: float) -> str:
        """What a script says in a proxy's guest; nothing where that doesn't run.

        One that doesn't leads nobody; when it starts, it leads to all.
        """
        try:
            async with GuestPlace(
                self.driver, proxy.address, self.secrets.lookup, ip=proxy.ip, run=self.run_id
            ) as place:
                said = await place.inside(script, limit_s)
        except PhoenixError:
            if await self._state(proxy) not in ("stopped", "absent"):
                raise
            return ""
        if said.status:
            raise ConfigureFailed(
                f"nginx in {proxy.address} ({proxy.name}) does not take another list of replicas",
                hint=f"`phoenix exec {proxy.address} -- nginx -t` tells why",
                detail=said.err.strip(),
            )
        return said.out.strip()


async def _all(todo: Iterable[Awaitable[T]]) -> list[T]:
    """What all of them give, at the same time. Raises the first one's error when all have ended."""
    done = await asyncio.gather(*todo, return_exceptions=True)
    found = []
    for one in done:
        if isinstance(one, BaseException):
            raise one
        found.append(one)
    return found
