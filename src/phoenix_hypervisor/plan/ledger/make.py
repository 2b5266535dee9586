"""Adds up what guests ask of the host's cards. Pure: files in, sums and refusals out.

What counts are guests that are to run: templates and stopped ones take nothing. A share (what
vLLM calls its utilisation) counts of the whole card, whatever else is on it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Gpu, Guest, PciDevice
from phoenix_hypervisor.model.gpu import Claim
from phoenix_hypervisor.model.ledger import Card, Taken
from phoenix_hypervisor.plan.ledger import judge
from phoenix_hypervisor.plan.ledger.judge import Refusal

_NOT_SAID = (
    "{}: none of its PCI cards is in `gpus`, so what is asked of them is not judged; "
    'name it there by "pci" or "mapping"'
)

Claims = Mapping[Address, Sequence[Claim]]


@dataclass(frozen=True, slots=True)
class Ledger:
    """All cards that are used or declared, what can't be, and what can't be judged."""

    cards: tuple[Card, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> bool:
        """Whether anybody has a card or asks for one."""
        return bool(self.refusals) or any(card.guests for card in self.cards)

    def about(self, scope: frozenset[Address]) -> "Ledger":
        """The same cards, and only the refusals in which one of these guests takes part."""
        refusals = tuple(one for one in self.refusals if scope & set(one.guests))
        return replace(self, refusals=refusals)


def make(desired: Desired, claims: Claims) -> Ledger:
    """The ledger of all guests that are to run. `claims`: what each one's software asks for."""
    running = [guest for guest in desired.guests.values() if guest.runs]
    gpus = _gpus(desired, running)
    has = {guest.address: cards_of(guest, gpus) for guest in running}
    cards = {gpu.index: Card(gpu.index, gpu.name, gpu.memory_mb) for gpu in gpus}
    refusals: list[Refusal] = []
    for guest in running:
        for index in has[guest.address]:
            if index in cards:
                cards[index] = _given(cards[index], guest)
    notes: list[str] = []
    for guest in running:
        if _hidden(guest, has[guest.address]) and claims.get(guest.address):
            notes.append(_NOT_SAID.format(guest.address))
            continue
        for claim in claims.get(guest.address, ()):
            refusal = judge.placing(guest, claim, has[guest.address])
            if refusal is not None:
                refusals.append(refusal)
                continue
            for index in (claim.index or has[guest.address])[: claim.cards]:
                if index in cards:
                    cards[index] = _taken(cards[index], guest, claim)
    refusals += judge.owners(cards.values(), running)
    refusals += judge.sums(cards.values())
    notes += _notes(cards.values())
    return Ledger(tuple(cards.values()), tuple(refusals), tuple(notes))


def cards_of(guest: Guest, gpus: Sequence[Gpu]) -> tuple[int, ...]:
    """The indices of its cards: those that a container shares, or that a machine has to itself."""
    if guest.kind == "lxc":
        return tuple(dict.fromkeys(guest.gpus))
    found = [gpu.index for device in guest.pci for gpu in gpus if _is(gpu, device)]
    return tuple(dict.fromkeys(found))


def _hidden(guest: Guest, has: Sequence[int]) -> bool:
    """Whether a machine has cards of which nobody can say whether they are graphics cards."""
    return bool(guest.pci) and not has


def _is(gpu: Gpu, device: PciDevice) -> bool:
    if device.mapping is not None:
        return device.mapping == gpu.mapping
    return gpu.pci is not None and _slot(device.address) == _slot(gpu.pci)


def _slot(address: str | None) -> str:
    """A card's own address, without its function and with its domain."""
    slot = (address or "").lower().partition(".")[0]
    return slot if slot.count(":") > 1 else f"0000:{slot}"


def _gpus(desired: Desired, running: Sequence[Guest]) -> list[Gpu]:
    """Those of the host, by index; where it lists none, those that guests name."""
    if desired.host.gpus is not None:
        return sorted(desired.host.gpus, key=lambda gpu: gpu.index)
    return [Gpu(index) for index in sorted({index for guest in running for index in guest.gpus})]


def _given(card: Card, guest: Guest) -> Card:
    whole = guest.address if guest.kind == "vm" and card.whole is None else card.whole
    return replace(card, guests=(*card.guests, guest.address), whole=whole)


def _taken(card: Card, guest: Guest, claim: Claim) -> Card:
    return replace(
        card,
        taken=(*card.taken, Taken(guest.address, guest.name, claim, granted(claim, card))),
    )


def granted(claim: Claim, card: Card) -> int | None:
    """MiB that a claim takes of a card: its share, its own figure, or at least what it needs."""
    if claim.share is not None:
        return None if card.memory_mb is None else int(claim.share * card.memory_mb)
    return claim.need_mb if claim.memory_mb is None else claim.memory_mb


def _notes(cards: Iterable[Card]) -> Iterator[str]:
    for card in cards:
        if not card.taken:
            continue
        if card.memory_mb is None:
            yield (
                f"the memory of {card.label} is not known: only shares are added up there; "
                'say it as "memory_mb" in `gpus`'
            )
        for one in card.taken:
            what = one.claim.what
            why = f": {one.claim.told}" if one.claim.told else ""
            if one.claim.share is None and one.mb is None:
                yield f"{one.address}: what {what} takes of {card.label} can't be told{why}"
            elif one.claim.need_mb is None and one.mb is not None:
                yield (
                    f"{one.address}: whether {one.mb} MiB of {card.label} are enough for {what} "
                    f"can't be told{why}"
                )
