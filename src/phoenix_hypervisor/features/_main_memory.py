"""Models that lie in a guest's main memory, and whether it has so much. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.feature import Flaw


@dataclass(frozen=True, slots=True)
class InMemory:
    """A server's weights (MiB) in main memory, and what the server may have of it.

    `at` leads to its words from the feature's options.
    """

    what: str
    weights_mb: int
    limit_mb: int | None = None
    at: tuple[str | int, ...] = ()


def too_little(models: Sequence[InMemory], guest: Guest) -> Iterator[Flaw]:
    """Warnings where the weights alone are more: then they are read from the disk all the time."""
    for one in models:
        if one.limit_mb is not None and one.weights_mb > one.limit_mb:
            message = f"the weights of {one.what} alone are {one.weights_mb} MiB"
            hint = f"give it more than that, not {one.limit_mb}"
            yield Flaw(message, (*one.at, "memory_mb"), hint=hint, severity="warning")
    whole = sum(one.weights_mb for one in models)
    if guest.memory_mb is not None and whole > guest.memory_mb:
        terms = ", ".join(f"{one.what} {one.weights_mb} MiB" for one in models)
        message = (
            f"{guest.name} has {guest.memory_mb} MiB of memory, less than the weights of its "
            f"models on the CPU: {terms}"
        )
        hint = f"more than {whole} MiB, or a smaller or more quantised model"
        yield Flaw(message, ("memory_mb",), guest.address, hint, "warning")
