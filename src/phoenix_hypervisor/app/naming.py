"""Which guest a person means: an address, an id or a name."""

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import UsageError

Named = list[tuple[Address, str]]


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
