"""How one guest is: what is seen of it, and what its checks answer."""

from dataclasses import dataclass

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Check, Outcome
from phoenix_hypervisor.model.observed import GuestState, SeenGuest


@dataclass(frozen=True, slots=True)
class Health:
    """One guest as it is: seen, and with the answers of its checks. `healthy` None: not known.

    `hidden` says why it can't be seen; empty where it can, or isn't there.
    """

    address: Address
    name: str
    seen: SeenGuest | None
    answers: tuple[tuple[Check, Outcome], ...] = ()
    managed: bool = True
    hidden: str = ""

    @property
    def state(self) -> GuestState:
        """Running, stopped, absent, or unknown where it can't be seen."""
        if self.seen is not None:
            return self.seen.state
        return "unknown" if self.hidden else "absent"

    @property
    def healthy(self) -> bool | None:
        """Whether all checks passed; None where there is nothing to check."""
        return all(outcome.ok for _, outcome in self.answers) if self.answers else None
