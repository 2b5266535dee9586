"""The small steps that the suite's tests are made of."""

import asyncio

from tests.conformance.kit import Kit
from tests.conformance.variations import differences

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.driver import Driver, Run
from phoenix_hypervisor.model.observed import SeenGuest


class BrokenOff(Exception):
    """Raised by a test in the middle of a step."""


RUN = Run(id="run-1", who="ada", command="phoenix apply --yes")


def quiet(text: str) -> None:
    """Takes what a step tells."""
    assert isinstance(text, str)


async def seen(driver: Driver, kit: Kit, guest: Guest) -> SeenGuest | None:
    """The guest as it is now."""
    return (await driver.observe(kit.desired(guest))).guests.get(guest.address)


async def must_see(driver: Driver, kit: Kit, guest: Guest) -> SeenGuest:
    """The guest, which has to be there."""
    found = await seen(driver, kit, guest)
    assert found is not None, f"{guest.address} is not there"
    return found


async def make(driver: Driver, kit: Kit, guest: Guest, fingerprint: str | None = None) -> None:
    """Creates a guest, and marks it where there is a fingerprint."""
    await driver.create(guest, kit.desired(guest), quiet)
    if fingerprint is not None:
        await driver.mark(guest.address, fingerprint)


async def update(driver: Driver, kit: Kit, guest: Guest) -> set[str]:
    """Brings a guest to what is wanted; the paths that were changed."""
    before = await must_see(driver, kit, guest)
    changes = differences(driver.project(guest), before.fields)
    if changes:
        await driver.update(guest, before, changes, quiet)
    return {change.path for change in changes}


async def inside(driver: Driver, address: Address, script: str) -> tuple[int, str]:
    """Runs a script in a running guest."""
    process = await asyncio.create_subprocess_exec(
        *await driver.way_in(address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(script.encode())
    assert process.returncode is not None
    return process.returncode, out.decode().strip()


async def unprotect(driver: Driver, kit: Kit, guest: SeenGuest) -> None:
    """Lets a guest be deleted, whatever it is."""
    wanted = kit.guest(int(addresses.ident(guest.address)) - kit.first_id)
    changes = [
        c for c in differences(driver.project(wanted), guest.fields) if c.path == "protected"
    ]
    await driver.update(wanted, guest, changes, quiet)


async def clear(kit: Kit, *, resources: bool) -> None:
    """Removes what the suite made, of both its stacks."""
    for stack in (kit.stack, kit.other_stack):
        async with kit.open(stack) as driver:
            there = await driver.observe(kit.desired())
            for at, guest in there.guests.items():
                if guest.stack != stack:
                    continue
                if guest.protected:
                    await unprotect(driver, kit, guest)
                await driver.stop(at, quiet)
                await driver.delete(at, quiet)
            for at, resource in there.resources.items() if resources else ():
                if resource.stack == stack:
                    await driver.remove(at)
