"""Which snapshot a guest goes back to, judged before a real target changes anything."""

from collections.abc import Iterable

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import Conflict, NotFound
from phoenix_hypervisor.model.snapshot import Taken


def choose(found: Iterable[Taken], address: Address, name: str) -> Taken:
    """The snapshot of that name.

    Raises `NotFound`, and `Conflict` where it is not whole or newer ones stand in the way: the
    plan deletes those first, so one that is left was taken since.
    """
    one = next((each for each in found if each.name == name), None)
    if one is None:
        raise NotFound(f"{address} has no snapshot {name}")
    if not one.whole:
        raise Conflict(f"{address} can't go back to {name}: that snapshot is not whole")
    if one.above:
        raise Conflict(
            f"{address}: its storage only goes back to the newest snapshot, and newer than "
            f"{name} are {', '.join(one.above)}",
            hint="run it again: it tells them, and deletes them first",
        )
    return one
