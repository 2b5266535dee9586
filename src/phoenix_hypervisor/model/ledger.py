"""Who has which graphics card, and how much of its memory: what the plan's ledger comes to."""

from dataclasses import dataclass

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.gpu import Claim


@dataclass(frozen=True, slots=True)
class Taken:
    """What one claim takes of one card. `mb` (MiB) is None where nobody can tell."""

    address: Address
    name: str
    claim: Claim
    mb: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """A card of the host, and what is taken of it.

    `memory_mb` (MiB) is None where the files don't tell. `guests` may use it, in their files'
    order; `whole` is the virtual machine that has it for itself.
    """

    index: int
    name: str = ""
    memory_mb: int | None = None
    guests: tuple[Address, ...] = ()
    whole: Address | None = None
    taken: tuple[Taken, ...] = ()

    @property
    def label(self) -> str:
        """`card 0 (RTX 5060 Ti)`."""
        return f"card {self.index} ({self.name})" if self.name else f"card {self.index}"

    @property
    def taken_mb(self) -> int:
        """MiB that are claimed, as far as they can be told."""
        return sum(one.mb or 0 for one in self.taken)

    @property
    def share(self) -> float:
        """The part of the card that is claimed: 0 to 1, more where it is over-committed.

        Where its memory isn't known, only claims of a share count.
        """
        if self.memory_mb is None:
            return sum(one.claim.share or 0.0 for one in self.taken)
        return self.taken_mb / self.memory_mb

    @property
    def free_mb(self) -> int | None:
        """MiB that nobody claims, negative where too much is; None where nobody can tell."""
        return None if self.memory_mb is None else self.memory_mb - self.taken_mb
