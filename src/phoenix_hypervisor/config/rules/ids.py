"""Ids of guests: none is reserved, none is taken twice."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem

FIRST = 100
"""Proxmox VE keeps the ids below 100 to itself (its API's schema of `vmid`)."""


def find(folder: Folder) -> Iterator[Problem]:
    """Ids that are reserved, and each id that an earlier guest has already."""
    first: dict[int, tuple[str, str, int]] = {}
    for guest in folder.guests:
        if guest.id < FIRST:
            message = f"the id {guest.id} is reserved: ids below {FIRST} belong to Proxmox VE"
            yield guest.spot.error(guest.head, message, "choose 100 or more", key=True)
        if guest.id in first:
            label, file, line = first[guest.id]
            message = f"duplicate id {guest.id}: it belongs to {label} ({file}, line {line})"
            hint = "containers and virtual machines share their ids: choose another one"
            yield guest.spot.error(guest.head, message, hint, key=True)
        else:
            line = guest.spot.line(guest.head, key=True)
            first[guest.id] = (guest.label, guest.spot.document.file, line)
