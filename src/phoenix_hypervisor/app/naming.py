"""Which guest a person means: an address, an id or a name."""

from collections.abc import Iterable

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import UsageError

Named = list[tuple[Address, str]]


def groups(desired: Desired) -> dict[str, list[Address]]:
    """All replicas by the name that the files give them."""
    found: dict[str, list[Address]] = {}
    for guest in desired.guests.values():
        if guest.replica is not None:
            found.setdefault(guest.replica.name, []).append(guest.address)
    return found


def meant(desired: Desired, words: Iterable[str]) -> frozenset[Address]:
    """The guests of the files that these words mean; a name of replicas means all of them.

    Raises `UsageError`.
    """
    known = [(guest.address, guest.name) for guest in desired.guests.values()]
    replicas = groups(desired)
    return frozenset(
        address for word in words for address in replicas.get(word) or (pick(word, known, []),)
    )


def pick(word: str, ours: Named, others: Named) -> Address:
    """The guest of an address, an id or a name, in this order; `others` are looked at last."""
    for guests in (ours, others):
        ways: tuple[set[Address], ...] = (
            {address for address, _ in guests if address == word},
            {address for address, _ in guests if addresses.ident(address) == word},
            {address for address, name in guests if name == word},
        )
        for found in ways:
            if len(found) > 1:
                all_found = sorted(found, key=addresses.order)
                words = f"“{word}” may be any of {', '.join(all_found)}"
                raise UsageError(words, hint="give the address")
            if found:
                return found.pop()
    listed = ", ".join(f"{address} ({name})" for address, name in sorted(set(ours)))
    raise UsageError(f"there is no guest “{word}”", hint=f"there are: {listed or 'none'}")
