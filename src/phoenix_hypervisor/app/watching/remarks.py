"""What a watcher knows beside how guests are: maintenance, alerts, and what is not healed."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from phoenix_hypervisor.app.watching import only_one, told_before
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watching import Happening, What
from phoenix_hypervisor.watch.maintenance import Calendar
from phoenix_hypervisor.watch.store import Reader

_VERDICTS: tuple[What, ...] = ("up", "down", "planned", "unknown")
_STEPS: tuple[What, ...] = ("heal", "healed", "held", "gave-up")
_LAST = 100
"""So many happenings of a guest are looked through."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One line beside the guests; `guest` is empty where it concerns the whole stack."""

    kind: Literal["maintenance", "page", "ticket", "held", "gave-up"]
    guest: Address | Literal[""]
    text: str


def remarks(desired: Desired) -> list[Remark]:
    """Of this moment; none where nobody watches. Blocks for some short queries."""
    if only_one.holder(desired.folder) is None:
        return []
    now = time.time()
    calendar = Calendar(desired.watch.maintenance)
    runs = [guest.address for guest in desired.guests.values() if guest.runs]
    away = [(one, why) for one in runs if (why := calendar.planned(now, one))]
    found = [Remark("maintenance", one, f"{one}: {why}") for one, why in away]
    try:
        alerts = told_before.active(desired.folder)
        found += [Remark(one.severity, one.guest, one.text) for one in alerts]
        told = {one.key for one in alerts}
        found += [one for one in _unhealed(desired, runs) if f"{one.kind} {one.guest}" not in told]
    except (DataUnreadable, sqlite3.Error):
        pass  # `phoenix alerts list` says so
    return found


def add(document: dict[str, Any], desired: Desired) -> None:
    """Puts them into the document of `status`; blocks as `remarks` does."""
    document["remarks"] = [
        {"kind": one.kind, "address": one.guest or None, "text": one.text}
        for one in remarks(desired)
    ]


def _unhealed(desired: Desired, guests: list[Address]) -> Iterator[Remark]:
    reader = Reader.open(desired.folder)
    if reader is None:
        return
    try:
        for guest in guests:
            past = reader.happenings(guest=guest, limit=_LAST, what=(*_VERDICTS, *_STEPS))
            yield from _left(guest, past)
    finally:
        reader.close()


def _left(guest: Address, past: list[Happening]) -> Iterator[Remark]:
    """Whether it is down and left alone, by what happened since it was up, the newest first."""
    since = list(takewhile(lambda one: one.what != "up", past))
    last = next((one for one in since if one.what in _STEPS), None)
    if last is None or not any(one.what in _VERDICTS for one in since):
        return
    match last.what:
        case "held" | "gave-up" as kind:
            yield Remark(kind, guest, f"{guest}: {last.text}")
        case _:
            return
