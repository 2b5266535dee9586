"""Ids of guests: none is reserved, none is taken twice."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem

FIRST = 100
"""Proxmox VE keeps the ids below 100 to itself (its API's schema of `vmid`)."""


def find(folder: Folder) -> Iterator[Problem]:
    """Ids that are reserved, and each id that an earlier guest has already."""
    first: dict[int, AnyEntry] = {}
    for guest in folder.guests:
        if guest.id < FIRST:
            message = f"the id {guest.id} is reserved: ids below {FIRST} belong to Proxmox VE"
            yield guest.spot.error(guest.head, message, "choose 100 or more", key=True)
        if guest.id in first:
            other = first[guest.id]
            line = other.spot.line(other.head, key=True)
            place = f"({other.spot.document.file}, line {line})"
            message = f"duplicate id {guest.id}: it belongs to {other.label} {place}"
            hint = "containers and virtual machines share their ids: choose another one"
            yield guest.spot.error(guest.head, message, hint, key=True)
        else:
            first[guest.id] = guest
