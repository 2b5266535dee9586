"""Replicas: equal guests that the files write down once, and that stand in for each other."""

from phoenix_hypervisor.model.desired import Desired, Guest


def group(guest: Guest, desired: Desired) -> tuple[Guest, ...]:
    """All replicas of a guest in their order, itself among them; alone where it has none."""
    if guest.replica is None:
        return (guest,)
    return tuple(
        other
        for other in desired.guests.values()
        if other.replica is not None and other.replica.group == guest.replica.group
    )


def is_first(guest: Guest) -> bool:
    """Whether it speaks for its group: what all replicas publish is told once."""
    return guest.replica is None or guest.replica.number == 1


def stand_in(one: Guest, other: Guest) -> bool:
    """Whether both are the same guest, or replicas of one."""
    if one.replica is None or other.replica is None:
        return one.address == other.address
    return one.replica.group == other.replica.group
