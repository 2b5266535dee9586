"""A real guest for tests: made with the Incus driver, in a project, pool and bridge of its own."""

import asyncio
import fcntl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from pathlib import Path

from phoenix_hypervisor.drivers import open_driver
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.desired import (
    Bridge,
    CloneOf,
    Desired,
    Guest,
    Image,
    Nic,
    Pool,
    Target,
)
from phoenix_hypervisor.model.driver import Driver


def quiet(text: str) -> None:
    """Hears nothing."""


@dataclass(frozen=True)
class Scratch:
    """Makes guests of one subnet; `name` (at most 8 letters) names project, pool and bridge."""

    name: str
    cidr: str
    folder: Path

    @property
    def target(self) -> Target:
        """Where they live."""
        return Target(driver="incus", project=self.name)

    @property
    def pool(self) -> Pool:
        """Their storage."""
        return Pool(addresses.storage(self.name), self.name, size_gb=8)

    @property
    def bridge(self) -> Bridge:
        """Their network, with NAT."""
        return Bridge(addresses.bridge(f"{self.name}0"), f"{self.name}0", cidr=self.cidr)

    def guest(self, guest_id: int) -> Guest:
        """A Debian container with a static address."""
        own = ip_interface(self.cidr)
        host = own.network.network_address + guest_id % 100 + 100
        nic = Nic(
            "eth0", self.bridge.name, f"{host}/{own.network.prefixlen}", str(own.ip), (str(own.ip),)
        )
        return Guest(
            address=addresses.lxc(guest_id),
            kind="lxc",
            id=guest_id,
            name=f"{self.name}{guest_id}",
            source=Image("debian-13-standard"),
            memory_mb=1024,
            cores=2,
            pool=self.pool.name,
            nics=(nic,),
        )

    def desired(self, *guests: Guest) -> Desired:
        """A desired state of these guests."""
        return Desired(
            folder=self.folder,
            stack=self.name,
            target=self.target,
            guests={guest.address: guest for guest in guests},
            pools={self.pool.address: self.pool},
            bridges={self.bridge.address: self.bridge},
        )

    def do(self, work: Callable[[Driver], Awaitable[None]]) -> None:
        """Does something with the driver."""

        async def connected() -> None:
            async with open_driver(
                "incus", self.target, self.name, environ={}, folder=self.folder
            ) as driver:
                await work(driver)

        asyncio.run(connected())

    def make(self, guest: Guest) -> list[str]:
        """Makes and starts a guest; gives the way in."""
        way_in: list[str] = []

        async def work(driver: Driver) -> None:
            await driver.create(guest, self.desired(guest), quiet)
            await driver.start(guest, quiet)
            way_in.extend(await driver.way_in(guest.address))

        self.do(work)
        return way_in

    def clone(self, source: Guest, guest_id: int) -> Guest:
        """What a clone of a guest's current state looks like."""
        return replace(self.guest(guest_id), source=CloneOf(source.address, None))

    async def _clear(self, driver: Driver) -> None:
        seen = await driver.observe(self.desired())
        for guest in seen.guests.values():
            if guest.stack == self.name:
                await driver.stop(guest.address, quiet)
                await driver.delete(guest.address, quiet)
        for resource in (self.pool.address, self.bridge.address):
            if resource in seen.resources and seen.resources[resource].stack == self.name:
                await driver.remove(resource)

    async def _prepare(self, driver: Driver) -> None:
        await self._clear(driver)
        await driver.ensure(self.pool, self.name, quiet)
        await driver.ensure(self.bridge, self.name, quiet)

    @classmethod
    @contextmanager
    def opened(cls, name: str, cidr: str, folder: Path) -> Iterator["Scratch"]:
        """Pool and bridge made, what a killed run left cleared away, all removed at the end."""
        with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one test run at a time
            scratch = cls(name, cidr, folder)
            scratch.do(scratch._prepare)
            try:
                yield scratch
            finally:
                scratch.do(scratch._clear)
