"""The host's NVIDIA driver as its kernel has it, told beside a plan whose files say another one.

It is asked only where guests with the feature `nvidia` are to be configured: a plan without such a
change needs no shell on the node.
"""

from collections.abc import Iterator
from dataclasses import replace

from phoenix_hypervisor.model import nvidia
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.plan import Plan

_FEATURE = "nvidia"
_ASK = f"cat {nvidia.LIVE} 2>/dev/null || true"
_S = 20.0


async def noted(plan: Plan, desired: Desired, driver: Driver) -> Plan:
    """The plan, saying so. Where the node can't be asked, the guest's own configuring finds it."""
    told = desired.host.nvidia.version
    waiting = list(_waiting(plan, desired))
    if told is None or not waiting or not driver.has_inside:
        return plan
    try:
        node = await driver.node()
        said = await node.run(_ASK, "which version of NVIDIA's driver runs", timeout_s=_S)
    except PhoenixError:
        return plan
    live = nvidia.live_version(said.out)
    if live is None or live == told:
        return plan
    note = (
        f"the host runs NVIDIA's driver {live}, and the files say {told}: {', '.join(waiting)} "
        "can't be configured before both are the same. `phoenix host apply` exchanges it, with "
        "its guests, where nvidia_driver.install is true; else mend nvidia_driver.version"
    )
    return replace(plan, notes=(*plan.notes, note))


def _waiting(plan: Plan, desired: Desired) -> Iterator[Address]:
    for change in plan.changes:
        guest = desired.guests.get(change.address)
        inside = any(step.name == "configure" for step in change.steps)
        if guest is not None and inside and any(use.name == _FEATURE for use in guest.features):
            yield change.address
