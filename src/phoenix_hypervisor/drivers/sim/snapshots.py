"""Snapshots of the simulated node: copies of a guest's fields, as pure changes of what is kept."""

from datetime import UTC, datetime

from phoenix_hypervisor.drivers.sim.store import KeptGuest, KeptSnapshot
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import Conflict, NotFound
from phoenix_hypervisor.model.snapshot import Taken

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def take(kept: KeptGuest, name: str) -> None:
    """Keeps the guest as it is now; a snapshot of the same name goes."""
    kept.snapshots[name] = KeptSnapshot(
        fields=dict(kept.fields),
        fingerprint=kept.fingerprint,
        stack=kept.stack,
        taken=datetime.now(UTC),
    )


def listed(kept: KeptGuest) -> list[Taken]:
    """The guest's snapshots, the oldest first."""
    found = sorted(kept.snapshots.items(), key=lambda item: (item[1].taken or _BEFORE_ALL, item[0]))
    return [
        Taken(name, taken=one.taken, stack=one.stack, fingerprint=one.fingerprint)
        for name, one in found
    ]


def go_back(kept: KeptGuest, address: Address, name: str) -> None:
    """Makes the guest what it was. Raises `NotFound`, and `Conflict` where it runs."""
    snapshot = find(kept, address, name)
    if kept.state != "stopped":
        raise Conflict(f"{address} runs: it must rest to go back")
    kept.fields = dict(snapshot.fields)
    kept.fingerprint = snapshot.fingerprint


def find(kept: KeptGuest, address: Address, name: str) -> KeptSnapshot:
    """The snapshot. Raises `NotFound`."""
    try:
        return kept.snapshots[name]
    except KeyError:
        raise NotFound(f"{address} has no snapshot {name}") from None
