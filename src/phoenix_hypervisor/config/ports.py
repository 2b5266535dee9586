"""Ports that two programs of one guest would both take."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import AnyEntry
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.model.listen import Listen

Taken = tuple[str, Listen, Pointer]
"""Who listens, at what, and where the file says so."""


def collisions(entry: AnyEntry, taken: list[Taken]) -> Iterator[tuple[str, Flaw]]:
    """For each port that an earlier one has: the feature that takes it too, and the flaw there.

    One that listens at several addresses is told once.
    """
    told = set[tuple[str, Flaw]]()
    for index, (feature, listen, _) in enumerate(taken):
        earlier = next((one for one in taken[:index] if listen.collides(one[1])), None)
        if earlier is None:
            continue
        other, first, place = earlier
        shown = f"{listen.port}/udp" if listen.protocol == "udp" else f"{listen.port}"
        line = f"({entry.spot.document.file}, line {entry.spot.line(place)})"
        message = (
            f"port {shown} for {listen.what or feature} is taken already in {entry.label}: "
            f"{first.what or other} has it {line}"
        )
        found = feature, Flaw(message, listen.at, hint="give one of them another port")
        if found not in told:
            told.add(found)
            yield found
