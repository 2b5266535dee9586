"""What software asks of graphics cards: the claims that the ledger adds up."""

from dataclasses import dataclass

Way = tuple[str | int, ...]
"""From a guest's own words to one of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """Where the files say what a claim comes from; empty: nowhere."""

    model: Way = ()
    cards: Way = ()
    context: Way = ()
    given: Way = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One program's share of the cards of its guest.

    `what` names the program and its model. `cards` is over how many cards it spreads (tensor
    parallelism), the same on each. What it takes of each card is `share` (a part of the card's
    memory, 0 to 1: what vLLM calls its utilisation) or, where that is None, `memory_mb` (MiB).
    `need_mb` (MiB on each card) is what its model needs at least, by the arithmetic that `told`
    shows in one line; None where nobody can tell, and `bare_mb` the same without its cache.
    `index` picks the cards by their index on the host; empty: the first ones that the guest has.
    `said` are the words that are to be mended where it can't be.
    """

    what: str
    cards: int = 1
    share: float | None = None
    memory_mb: int | None = None
    need_mb: int | None = None
    told: str = ""
    index: tuple[int, ...] = ()
    bare_mb: int | None = None
    said: Said = Said()
