"""What can't be of graphics cards, each told with its sum."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.gpu import Claim, Way
from phoenix_hypervisor.model.ledger import Card, Taken

_WHOLE = 1.0 + 1e-9
"""Shares such as 0.7, 0.2 and 0.1 add up to a little more than all."""
_GIB, _HUGE = 1024, 2**40


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that can't be. `guests` are all that take part; the last is the one to mend.

    `at` leads from its own words to the one that causes it.
    """

    message: str
    hint: str
    guests: tuple[Address, ...]
    at: Way = ("gpu_assignment",)

    @property
    def text(self) -> str:
        """As one line."""
        return f"{self.message}; {self.hint}"


def placing(guest: Guest, claim: Claim, has: Sequence[int]) -> Refusal | None:
    """Why a claim finds no place on the cards of its guest."""
    head = f"{guest.address}: {claim.what}"
    wanted = max(claim.cards, len(claim.index))
    if not has:
        message = f"{head} asks for {_cards(wanted)}, and the guest has 0"
        return Refusal(message, f"give it one: {_assign('0')}", (guest.address,))
    foreign = [index for index in claim.index if index not in has]
    if foreign:
        message = f"{head} asks for card {_listed(foreign)}, and the guest has only {_listed(has)}"
        both = _listed(sorted({*has, *foreign}), ",")
        return Refusal(message, f"give it that card too: {_assign(both)}", (guest.address,))
    there = len(claim.index or has)
    if claim.cards > there:
        only = "names" if claim.index else "the guest has"
        message = (
            f"{head} spreads over {_cards(claim.cards)} (tensor parallelism), "
            f"and {only} {there} ({_listed(claim.index or has)}): {claim.cards} > {there}"
        )
        hint = "spread it over fewer, or assign more cards"
        return _refusal(message, hint, (guest.address,), claim.said.cards)
    return None


def owners(cards: Iterable[Card], running: Sequence[Guest]) -> Iterator[Refusal]:
    """Cards that a virtual machine has for itself, and that others are to have as well."""
    kinds = {guest.address: guest.kind for guest in running}
    for card in cards:
        others = [one for one in card.guests if one != card.whole]
        if card.whole is None or not others:
            continue
        machines = 1 + sum(kinds[one] == "vm" for one in others)
        count = f"{machines} virtual machine{'s' * (machines > 1)}"
        if containers := len(others) + 1 - machines:
            count += f" + {containers} container{'s' * (containers > 1)}"
        message = (
            f"{card.label} is given to {card.whole} as a whole and to {', '.join(others)}: "
            f"{count} > 1 owner"
        )
        hint = "what a virtual machine has is its own; choose another card"
        yield Refusal(message, hint, (card.whole, *others))


def sums(cards: Iterable[Card]) -> Iterator[Refusal]:
    """Models that don't fit in what they are given, and claims that are more than their card.

    One that spreads over several cards is refused once, for the first that it doesn't fit.
    """
    told: set[tuple[Address, Claim]] = set()
    for card in cards:
        small = [one for one in card.taken if (one.claim.need_mb or 0) > (card.memory_mb or _HUGE)]
        for one in card.taken:
            refusal = _unfit(card, one)
            if refusal is not None and (one.address, one.claim) not in told:
                told.add((one.address, one.claim))
                yield refusal
        if card.share > _WHOLE and small != list(card.taken):
            yield _over(card)


def _over(card: Card) -> Refusal:
    known = card.memory_mb is not None
    counted = [one for one in card.taken if (one.mb if known else one.claim.share) or 0]
    terms = " + ".join(_term(one, known=known) for one in counted)
    if card.memory_mb is None:
        total = f"{percent(card.share)} of a card of unknown size"
    else:
        total = f"{card.taken_mb} MiB of {card.memory_mb} MiB ({percent(card.share)})"
    guests = tuple(dict.fromkeys(one.address for one in counted))
    hint = "give less to one of them, or put it on another card"
    message = f"{card.label}: more is claimed than it has: {terms} = {total}"
    return _refusal(message, hint, guests, counted[-1].claim.said.given)


def _refusal(message: str, hint: str, guests: tuple[Address, ...], at: Way) -> Refusal:
    """At a word, where the files say it."""
    return Refusal(message, hint, guests, at) if at else Refusal(message, hint, guests)


def _term(one: Taken, *, known: bool) -> str:
    share = one.claim.share
    if not known:
        return f"{percent(share or 0)} ({one.address}, {one.claim.what})"
    part = f"{percent(share)}, " if share is not None else ""
    return f"{one.mb} MiB ({part}{one.address}, {one.claim.what})"


def _unfit(card: Card, one: Taken) -> Refusal | None:
    claim, need = one.claim, one.claim.need_mb
    if need is None:
        return None
    told = f": {claim.told}" if claim.told else ""
    head = f"{one.address}: {claim.what} needs {_size(need)}"
    head += f" on each of {claim.cards} cards" if claim.cards > 1 else ""
    if card.memory_mb is not None and need > card.memory_mb:
        message = f"{head}, and {card.label} has {_size(card.memory_mb)}{told}"
        hint = "take a smaller or more quantised model or a shorter context, or more cards"
        fits_bare = claim.bare_mb is not None and claim.bare_mb <= card.memory_mb
        at = (fits_bare and claim.said.context) or claim.said.model
        return _refusal(message, hint, (one.address,), at)
    if one.mb is not None and need > one.mb:
        if claim.share is not None:
            given = f"{percent(claim.share)} of {card.memory_mb} MiB = {_size(one.mb)}"
        else:
            given = _size(one.mb)
        message = f"{head}, and is given {given} of {card.label}{told}"
        hint = "give it more, or a shorter context"
        return _refusal(message, hint, (one.address,), claim.said.given or claim.said.model)
    return None


def _size(mb: int) -> str:
    return f"{mb} MiB ({mb / _GIB:.1f} GiB)"


def percent(part: float) -> str:
    """A part as people read it: `70 %`, `100.4 %`."""
    return f"{part * 100:.1f}".removesuffix(".0") + " %"


def _cards(count: int) -> str:
    return f"{count} graphics card{'s' * (count != 1)}"


def _listed(indices: Iterable[int], between: str = ", ") -> str:
    return between.join(map(str, indices))


def _assign(value: str) -> str:
    return f'"gpu_assignment": "{value}"'
