"""Which guests were there before: one that never was is not missed."""

import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

from phoenix_hypervisor.history import reading
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.watch.store import Reader

_MONTH_S = 30 * 86400.0


def before(folder: Path, target: str, guests: Collection[Address]) -> frozenset[Address]:
    """Those that runs on a target (`sim`, `incus`, …) have changed, and none of somebody's has
    deleted since. Where the history knows nothing of one: whether it was seen up in the last 30
    days.

    Blocks for the time of two queries. What can't be read counts as seen: better one that is
    missed for nothing than one that nobody misses.
    """
    try:
        last = reading.last_actions(folder, target)
        seen = {} if last.keys() >= set(guests) else _up_s(folder)
    except (PhoenixError, sqlite3.Error):
        return frozenset(guests)
    return frozenset(
        guest
        for guest in guests
        if (last[guest] != "delete" if guest in last else seen.get(guest, 0) > 0)
    )


def _up_s(folder: Path) -> dict[Address, float]:
    reader = Reader.open(folder)
    if reader is None:
        return {}
    try:
        now = time.time()
        return {guest: sums.up_s for guest, sums in reader.summed(now - _MONTH_S, now).items()}
    finally:
        reader.close()
