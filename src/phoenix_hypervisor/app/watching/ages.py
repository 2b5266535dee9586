"""How long ago a watcher last asked each guest, for those who only look."""

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phoenix_hypervisor.app.watching import only_one
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.watch.store import Reader


def ages(folder: Path) -> Mapping[Address, float] | None:
    """Seconds since the last answer of each guest's checks; None where nobody watches now."""
    if only_one.holder(folder) is None:
        return None
    try:
        reader = Reader.open(folder)
        if reader is None:
            return {}
        try:
            answers = reader.latest()
        finally:
            reader.close()
    except (DataUnreadable, sqlite3.Error):
        return {}
    now, last = time.time(), dict[Address, float]()
    for answer in answers:
        last[answer.guest] = max(last.get(answer.guest, 0.0), answer.at)
    return {guest: max(0.0, now - at) for guest, at in last.items()}


def add(document: dict[str, Any], folder: Path) -> None:
    """Adds them to the document of `status`; it blocks for the time of a query."""
    found = ages(folder)
    document["watched"] = found is not None
    for guest in document["guests"]:
        age = (found or {}).get(guest["address"])
        guest["last_check_s"] = None if age is None else round(age, 1)
