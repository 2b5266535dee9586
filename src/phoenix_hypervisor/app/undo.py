"""Snapshots by hand: which there are, and the plans that take, delete and go back to them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from phoenix_hypervisor import observe
from phoenix_hypervisor.app import draining
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.model.snapshot import Taken, default_name, problem
from phoenix_hypervisor.plan import undo

Listed = dict[Address, Sequence[Taken]]


async def listed(session: Session, words: Sequence[str]) -> tuple[Listed, dict[Address, str]]:
    """The snapshots of these guests of the files (no words: of all), and why some can't be told.

    Guests that are not there, or that another stack made, are among the latter.
    """
    observed = await observe.observe(session.desired, session.driver)
    wanted = session.resolve(words) if words else frozenset(session.desired.guests)
    return await _look(session, observed, wanted)


async def plan_take(
    session: Session, words: Sequence[str], name: str | None
) -> tuple[Plan, Observed]:
    """A plan that takes a snapshot of these guests. Raises `UsageError` for a bad name."""
    name = _checked(name) if name is not None else default_name(_now())
    observed, found = await _all(session, words)
    return undo.take(session.desired, observed, session.driver, found, name), observed


async def plan_delete(session: Session, words: Sequence[str], name: str) -> tuple[Plan, Observed]:
    """A plan that deletes these guests' snapshots of this name."""
    observed, found = await _all(session, words)
    plan = undo.delete(session.desired, observed, session.driver, found, name=name, now=_now())
    return plan, observed


async def plan_rollback(
    session: Session, word: str, name: str, *, protected: bool
) -> tuple[Plan, Observed]:
    """A plan that brings one guest back to a snapshot."""
    address = session.one(word)
    observed, found = await _all(session, [address])
    plan = undo.rollback(
        session.desired,
        observed,
        session.driver,
        address,
        name=name,
        found=found[address],
        now=_now(),
        protected=protected,
        proxies=draining.known(session.desired),
    )
    return plan, observed


async def _all(session: Session, words: Sequence[str]) -> tuple[Observed, Listed]:
    """The look, and the snapshots of all these guests: none for one that must not be touched."""
    observed = await observe.observe(session.desired, session.driver)
    wanted = session.resolve(words)
    found, untold = await _look(session, observed, wanted)
    return observed, {one: found.get(one, ()) for one in (*found, *untold)}


async def _look(
    session: Session, observed: Observed, wanted: frozenset[Address]
) -> tuple[Listed, dict[Address, str]]:
    told: dict[Address, str] = {}
    for address in sorted(wanted, key=addresses.order):
        if why := undo.hindrance(address, session.desired, observed):
            told[address] = why
    todo = sorted(wanted - set(told), key=addresses.order)
    slots = asyncio.Semaphore(session.driver.limits.parallel)

    async def one(address: Address) -> Sequence[Taken]:
        async with slots:
            return await session.driver.snapshots(address)

    found = await asyncio.gather(*(one(address) for address in todo))
    return dict(zip(todo, found, strict=True)), told


def _checked(name: str) -> str:
    if why := problem(name):
        raise UsageError(why)
    return name


def _now() -> datetime:
    return datetime.now().astimezone()
