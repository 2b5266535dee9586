"""Restarts one guest at a person's wish; one that was stopped for it never stays so."""

from phoenix_hypervisor import observe
from phoenix_hypervisor.app.draining import Draining
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.event import Report
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import restart


async def plan(session: Session, word: str) -> tuple[Plan, Observed]:
    """What restarting a guest does. Raises `UsageError` where the files have no such, and
    `CheckFailed` for the only replica that serves.
    """
    address = session.one(word)
    observed = await observe.observe(session.desired, session.driver)
    drains = Draining(session.desired, session.driver, session.secrets, session.run_id, observed)
    await drains.keep_one(session.desired.guests[address], lambda _: None)
    return restart.make(session.desired, observed, session.driver, address), observed


async def brought_back(session: Session, address: Address, report: Report) -> bool:
    """Starts the guest again where a restart of it ended before that. Whether it had to.

    Raises `PhoenixError` where it can't be started.
    """
    if report.ok:
        return False
    observed = await observe.observe(session.desired, session.driver)
    seen = observed.guests.get(address)
    if seen is None or seen.stack != session.desired.stack or seen.state != "stopped":
        return False
    await session.driver.start(session.desired.guests[address], lambda _: None)
    return True
