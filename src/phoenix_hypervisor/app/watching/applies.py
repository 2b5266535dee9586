"""Which guests are away on purpose since a run of Phoenix changes them just now."""

import time
from pathlib import Path
from typing import Any

from phoenix_hypervisor.history import reading
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import PhoenixError

_LATEST = 50
_LONGEST_S = 12 * 3600.0
"""One that seems to take longer has an end that could not be written, in a process that lives."""
_OWN = "phoenix watch"
"""Runs of the healer are no planned ones."""


class Applies:
    """Reads the folder's history; blocks for the short time of a query."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, dict[Address, str]] = {}

    def now(self) -> dict[Address, str]:
        """Guests that runs change which are under way, each with the reason to show.

        A history that can't be read tells of none.
        """
        try:
            since = time.time() - _LONGEST_S
            running = [
                run
                for run in reading.unended(self._folder, _LATEST)
                if run.result == "running" and run.began > since
                if not run.command.startswith(_OWN)
            ]
            found = {
                run.id: self._known.get(run.id)
                or _guests(reading.run(self._folder, run.id).plan, f"`{run.command}` by {run.who}")
                for run in running
            }
        except PhoenixError:
            return {}
        self._known = found
        return {address: why for guests in found.values() for address, why in guests.items()}


def _guests(plan: Any, why: str) -> dict[Address, str]:
    changes = plan.get("changes", []) if isinstance(plan, dict) else []
    return {Address(change["address"]): why for change in changes if "address" in change}
