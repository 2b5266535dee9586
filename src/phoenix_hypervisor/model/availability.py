"""How a guest outlives the failure of its node, or of itself."""

from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.address import Address


@dataclass(frozen=True, slots=True)
class HighAvailability:
    """What the cluster's HA manager does with a guest; `nodes` are those it prefers, best first.

    None is left to Proxmox VE, which restarts once and relocates once.
    """

    state: Literal["started", "stopped", "disabled", "ignored"] = "started"
    max_restart: int | None = None
    max_relocate: int | None = None
    nodes: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Replica:
    """Which of several equal guests one is: `number`, from 1 on, of those that the files write down
    once, as `name`; `group` is the address of the first one.
    """

    group: Address
    name: str
    number: int
