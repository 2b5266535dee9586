"""Guests that count as no longer asked for only because a whole file of the folder is gone."""

from dataclasses import replace

from phoenix_hypervisor.config.folder import LXC, VM
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.plan import Plan

_FILES = {"lxc": LXC, "vm": VM}
_MOST = 8
"""So many addresses are told."""


def noted(plan: Plan, desired: Desired) -> Plan:
    """The plan, saying so."""
    gone = [change.address for change in plan.changes if change.action is Action.DELETE]
    by_kind: dict[str, list[str]] = {}
    for address in (*plan.kept, *gone):
        if address not in desired.guests:
            by_kind.setdefault(addresses.kind(address), []).append(address)
    notes = [
        _told(file, found)
        for kind, file in _FILES.items()
        if (found := by_kind.get(kind)) and not (desired.folder / file).exists()
    ]
    return replace(plan, notes=(*notes, *plan.notes)) if notes else plan


def _told(file: str, found: list[str]) -> str:
    count = "1 guest counts" if len(found) == 1 else f"{len(found)} guests count"
    told = ", ".join(found[:_MOST]) + (", …" if len(found) > _MOST else "")
    return f"{file} is not there, so {count} as no longer declared: {told}"
