"""The ledger of graphics cards of one folder: what its features claim, added up."""

from collections.abc import Iterator, Mapping, Sequence

from phoenix_hypervisor import features
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.gpu import Claim
from phoenix_hypervisor.plan import ledger
from phoenix_hypervisor.plan.ledger import Ledger


def claims(desired: Desired) -> Mapping[Address, Sequence[Claim]]:
    """What each guest's features ask of its cards; guests that ask for nothing are left out."""
    known = features.available()
    found = {
        address: [
            claim
            for use in guest.features
            for claim in known[use.name].claims(use.options, guest, desired)
        ]
        for address, guest in desired.guests.items()
    }
    return {address: asked for address, asked in found.items() if asked}


def of(desired: Desired) -> Ledger:
    """The folder's ledger."""
    return ledger.make(desired, claims(desired))


def flaws(desired: Desired) -> Iterator[Flaw]:
    """What can't be of the cards, each with the guest that is to be mended."""
    for refusal in of(desired).refusals:
        yield Flaw(refusal.message, refusal.at, refusal.guests[-1], refusal.hint)
