"""A simulated node to apply to: the real driver with faults and delays on order.

Guests of `Node` have an inside as far as plans are concerned, so that plans hold checks; what is
done inside is what the test says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from tests.unit.plan.worlds import STACK, prints

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.apply.walk import Walk
from phoenix_hypervisor.drivers.sim import Faults, MemoryStore, SimDriver, Timing
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.driver import Limits, Tell
from phoenix_hypervisor.model.event import Event, Report
from phoenix_hypervisor.model.observed import SeenGuest
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.make import destroy, make
from phoenix_hypervisor.plan.options import Options

Inside = Callable[[Guest, Tell], Awaitable[None]]


class WithInside(SimDriver):
    """The simulated node, where plans configure and check guests as on a real one."""

    has_inside = True


async def nothing(guest: Guest, tell: Tell) -> None:
    """An inside that is as wanted at once."""


@dataclass
class Node:
    """One node, what happens on it, and what of it was told.

    `events` are those of all runs; `most` counts how much went on at once.
    """

    folder: Desired
    store: MemoryStore = field(default_factory=MemoryStore)
    faults: Faults = field(default_factory=Faults)
    timing: Timing = field(default_factory=Timing)
    limits: Limits = SimDriver.limits
    driver_type: type[SimDriver] = WithInside
    configure: Inside = nothing
    check: Inside = nothing
    events: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def driver(self) -> SimDriver:
        """A new driver on this node."""
        driver = self.driver_type(STACK, self.store, self.faults, self.timing)
        driver.limits = self.limits
        return driver

    async def plan(self, **options: object) -> Plan:
        """The plan as things are."""
        given = {"fingerprints": prints(self.folder), **options}
        driver = self.driver()
        return make(
            self.folder,
            await driver.observe(self.folder),
            driver,
            Options(**given),  # type: ignore[arg-type] # the tests' own words
        )

    async def plan_destroy(self) -> Plan:
        """The plan to delete everything."""
        driver = self.driver()
        return destroy(self.folder, await driver.observe(self.folder), driver, None)

    async def walk(
        self, plan: Plan, *, parallel: int = 8, emit: Callable[[Event], None] | None = None
    ) -> Report:
        """Applies a plan, with pauses that a test can wait for."""
        driver = self.driver()
        wanted = prints(self.folder)

        async def configure(guest: Guest, tell: Tell) -> str | None:
            await self.configure(guest, tell)
            return wanted[guest.address]

        means = Means(
            self.folder,
            await driver.observe(self.folder),
            driver,
            configure,
            self.check,
            parallel,
            longest_pause_s=0.01,
        )
        return await Walk(plan, means, emit or self.take).run()

    async def apply(self, *, parallel: int = 8, **options: object) -> Report:
        """Plans and applies."""
        return await self.walk(await self.plan(**options), parallel=parallel)

    async def guest(self, address: str) -> SeenGuest:
        """One guest as it is now."""
        return (await self.driver().observe(self.folder)).guests[Address(address)]

    async def complete(self) -> None:
        """Everything as the files say, with no fault, delay or event left."""
        calm = replace(self, faults=Faults(), timing=Timing(), events=[])
        calm.configure = calm.check = nothing
        assert (await calm.apply(prune=True)).ok
        assert (await self.plan()).changes == ()

    def take(self, event: Event) -> None:
        """Keeps what is told."""
        self.events.append(event)
        self.news.set()

    async def until(self, moment: str) -> None:
        """Waits until this was told, such as `lxc/101:start finished`."""
        async with asyncio.timeout(10):
            while moment not in self.told():
                self.news.clear()
                await self.news.wait()

    def told(self, *kinds: str) -> list[str]:
        """`lxc/101:start finished`, in order; all kinds, or these."""
        return [
            f"{e.address}:{e.step} {e.event}" for e in self.events if not kinds or e.event in kinds
        ]

    def most(self, steps: Iterable[str]) -> int:
        """How many of these steps went on at once, at most."""
        now = most = 0
        for event in self.events:
            if event.step in steps:
                now += {"started": 1, "finished": -1, "failed": -1}.get(event.event, 0)
                most = max(most, now)
        return most


def takes(seconds: float) -> Inside:
    """An inside that takes its time."""

    async def wait(guest: Guest, tell: Tell) -> None:
        await asyncio.sleep(seconds)

    return wait
