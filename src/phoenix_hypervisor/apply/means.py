"""What apply works with: given by `app`, so that apply knows neither pyinfra nor checks."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Change
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.driver import Driver, Tell
from phoenix_hypervisor.model.observed import Observed

Make = Callable[[Change, Tell], Awaitable[None]]


class Drains(Protocol):
    """Takes replicas out of their proxies and back in."""

    async def drain(self, replica: Guest, tell: Tell) -> None:
        """No proxy leads a new request to it; those under way are answered, or have had time."""

    async def undrain(self, replica: Guest, tell: Tell) -> None:
        """Its proxies lead requests to it again."""


@dataclass(frozen=True, slots=True)
class Means:
    """The tools of one run.

    `observed` is what the plan was made from. `configure` makes a guest's inside as wanted and
    returns its fingerprint; `check` waits until its checks pass, or raises `CheckFailed`.
    `longest_pause_s` bounds the growing pauses between the tries of one step. `fingerprints` are
    what each guest's inside is to be, for guests whose inside is taken as being so, and replicas
    that serve again. `make` does one change of the host itself; done again after it broke off, it
    does the rest. `drains` is there where the plan has replicas.
    """

    desired: Desired
    observed: Observed
    driver: Driver
    configure: Callable[[Guest, Tell], Awaitable[str | None]]
    check: Callable[[Guest, Tell], Awaitable[None]]
    parallel: int = 4
    longest_pause_s: float = 20.0
    fingerprints: Mapping[Address, str | None] = field(default_factory=dict)
    make: Make | None = None
    drains: Drains | None = None
