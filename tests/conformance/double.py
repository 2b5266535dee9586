"""The kit of the double of Proxmox VE's API, and plans and applies on it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.kit import Kit
from tests.pve.node import COSTS
from tests.support import pve, pve_shell

from phoenix_hypervisor.apply.means import Means
from phoenix_hypervisor.apply.walk import Walk
from phoenix_hypervisor.drivers.proxmox import privileges
from phoenix_hypervisor.drivers.proxmox.api.client import path
from phoenix_hypervisor.drivers.proxmox.driver import ProxmoxDriver
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest, Target
from phoenix_hypervisor.model.driver import Driver, Tell
from phoenix_hypervisor.model.event import Event, Report
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.plan.make import make
from phoenix_hypervisor.plan.options import Options

TEMPLATE = "debian-13-standard_13.1-2_amd64.tar.zst"


@dataclass(frozen=True)
class DoubleKit(Kit):
    """Guests on a double; there is no real container behind them, so no inside."""

    double: pve.Pve = field(kw_only=True)
    told: list[Event] = field(default_factory=list)
    """All that applies told."""

    def open(self, stack: str | None = None) -> Driver:
        """A driver whose guests have no inside."""
        driver = super().open(stack)
        assert isinstance(driver, ProxmoxDriver)
        driver.has_inside = False
        return driver

    async def make_foreign(self, address: Address) -> None:
        rootfs = f"{self.pool}:vm-{addresses.ident(address)}-disk-0,size=1G"
        await self.double.container(
            int(addresses.ident(address)), "by-hand", config={"rootfs": rootfs}
        )

    async def remove_foreign(self, address: Address) -> None:
        async with self.double.api() as by_hand:
            await by_hand.run("DELETE", path("nodes", "pve1", "lxc", addresses.ident(address)))

    async def plan(self, desired: Desired, driver: Driver | None = None) -> Plan:
        """The plan as things are."""
        if driver is None:
            async with self.open() as opened:
                return await self.plan(desired, opened)
        return make(desired, await driver.observe(desired), driver, Options(fingerprints={}))

    async def walk(self, plan: Plan, desired: Desired, driver: Driver) -> Report:
        """Applies a plan, with short pauses between tries."""

        async def configure(guest: Guest, tell: Tell) -> str | None:
            del guest, tell
            return None

        async def check(guest: Guest, tell: Tell) -> None:
            del guest, tell

        observed = await driver.observe(desired)
        means = Means(desired, observed, driver, configure, check, 8, longest_pause_s=0.05)
        return await Walk(plan, means, self.told.append).run()

    async def apply(self, *guests: Guest, desired: Desired | None = None) -> Report:
        """Plans and applies with a driver of its own; the plan must not refuse."""
        wanted = desired or self.desired(*guests)
        async with self.open() as driver:
            plan = await self.plan(wanted, driver)
            assert plan.refusals == ()
            return await self.walk(plan, wanted, driver)


@contextmanager
def kit_on(
    folder: Path, nodes: Sequence[str] = ("pve1",), *, first_id: int = 7100
) -> Iterator[DoubleKit]:
    """A kit on a double with these nodes. At its end no request was refused for its parameters."""
    with pve.started(*nodes, time_scale=0.001, files=True) as double:
        asyncio.run(prepare(double))
        shells = folder / "nodes"
        shells.mkdir()
        yield DoubleKit(
            driver="proxmox",
            folder=folder,
            template="debian-13-standard",
            pool="local-lvm",
            bridge="vmbr0",
            target=Target(
                driver="proxmox",
                endpoint=double.url,
                node=nodes[0],
                token_id=pve.TOKEN,
                token_secret=Secret(name="PVE_TOKEN"),
                ca_file=double.ca_file,
            ),
            environ={
                "PVE_TOKEN": pve.TOKEN_SECRET,
                "PHOENIX_NODE_SHELL": pve_shell.command(double, shells, nodes),
            },
            costs=COSTS,
            fixed=frozenset({"privileged", "gpus"}),
            first_id=first_id,
            double=double,
        )
        asked = asyncio.run(double.asked())
        print(f"{len(asked.requests)} requests, {len(asked.refused)} refused for parameters")  # noqa: T201
        assert [f"{one}: {one.reason}" for one in asked.refused] == []


async def prepare(double: pve.Pve) -> None:
    """The documented role's token, and a template."""
    await double.token(*privileges.BASE)
    await double.template(TEMPLATE)
