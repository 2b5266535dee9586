"""Looks at the world: desired state and driver in, observed state out. Changes nothing."""

from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.observed import Observed


async def observe(desired: Desired, driver: Driver) -> Observed:
    """One look through the driver. Never waits on a guest."""
    return await driver.observe(desired)
