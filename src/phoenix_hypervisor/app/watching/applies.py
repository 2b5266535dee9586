"""Which guests are away on purpose since a run of Phoenix changes them just now."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phoenix_hypervisor.history import reading
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.errors import PhoenixError

_LATEST = 50
_LONGEST_S = 12 * 3600.0
"""One that seems to take longer has an end that could not be written, in a process that lives."""
_OWN = "phoenix watch"
"""Runs of the healer are no planned ones."""


@dataclass(frozen=True, slots=True)
class Away:
    """Guests that runs change just now: `why`, to show. `stops` are those that are stopped for it
    at some time; what is seen of them may not hold a moment later.
    """

    why: Mapping[Address, str] = field(default_factory=dict)
    stops: frozenset[Address] = frozenset()


class Applies:
    """Reads the folder's history; blocks for the short time of a query."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Away] = {}

    def now(self) -> Mapping[Address, str]:
        """Guests that runs change which are under way, each with the reason to show."""
        return self.look().why

    def look(self) -> Away:
        """The same, and which of them are stopped for it. A history that can't be read tells of
        none.
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
                or _away(reading.run(self._folder, run.id).plan, f"`{run.command}` by {run.who}")
                for run in running
            }
        except PhoenixError:
            return Away()
        self._known = found
        return Away(
            {address: why for one in found.values() for address, why in one.why.items()},
            frozenset().union(*(one.stops for one in found.values())),
        )


def _away(plan: Any, why: str) -> Away:
    changes = plan.get("changes", []) if isinstance(plan, dict) else []
    impacts = {Address(one["address"]): one.get("impact") for one in changes if "address" in one}
    stops = (one for one, impact in impacts.items() if impact != Impact.LIVE.value)
    return Away(dict.fromkeys(impacts, why), frozenset(stops))
