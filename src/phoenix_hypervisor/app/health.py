"""How one guest is: what is seen of it, and what its checks answer."""

from dataclasses import dataclass

from phoenix_hypervisor.app import draining
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Check, Outcome
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.observed import GuestState, Observed, SeenGuest
from phoenix_hypervisor.model.replicas import group


@dataclass(frozen=True, slots=True)
class Health:
    """One guest as it is: seen, and with the answers of its checks. `healthy` None: not known.

    `hidden` says why it can't be seen; empty where it can, or isn't there. `left_out`: an apply
    left it half done, so that its proxies may lead nothing to it, however healthy it is.
    """

    address: Address
    name: str
    seen: SeenGuest | None
    answers: tuple[tuple[Check, Outcome], ...] = ()
    managed: bool = True
    hidden: str = ""
    left_out: bool = False

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


def unasked(desired: Desired, observed: Observed, address: Address) -> Health:
    """A guest of the files as one look shows it, without a check."""
    found = observed.guests.get(address)
    managed = found is None or found.stack == desired.stack
    hidden = "" if found else observed.unknown.get(address, "")
    guest = desired.guests[address]
    left_out = managed and _is_left_out(desired, guest, found)
    return Health(address, guest.name, found, managed=managed, hidden=hidden, left_out=left_out)


def _is_left_out(desired: Desired, guest: Guest, seen: SeenGuest | None) -> bool:
    """Whether a replica lacks the mark that an apply takes from it before it is taken out of its
    proxies, and gives it when it is back.
    """
    return (
        seen is not None
        and seen.state == "running"
        and seen.fingerprint is None
        and bool(guest.features or guest.script)
        and len(group(guest, desired)) > 1
        and guest.address in draining.known(desired)
    )
