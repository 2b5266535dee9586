"""Whether a guest is down since somebody stopped it, or one that it depends on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.watch.judge import UNANSWERED

_KNOWN_S = 3600.0
"""So long somebody who stopped a guest knows why its budget burns: as long as that is looked at."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a guest is down, beside itself. `known`: somebody wanted it, and knows of it."""

    text: str
    known: bool


def asked_by(status: GuestStatus, because: str = "") -> str | None:
    """Who asked that a guest does not run; None where nobody did, or healing (`because`)."""
    if because and (status.state != "running" or status.why == UNANSWERED):
        return None
    change = status.change
    ended = status.state == "stopped" and change is not None and change.state != "running"
    by = change.by if change is not None and ended else None
    return by or ("somebody" if status.paused else None)  # nothing pauses by itself


class Causes:
    """Of all guests of a stack. It remembers for an hour who was down since somebody wanted it."""

    def __init__(self) -> None:
        self._until: dict[Address, float] = {}

    def now(
        self,
        desired: Desired,
        statuses: Iterable[GuestStatus],
        because: Mapping[Address, str],
        now: float,
    ) -> dict[Address, Cause]:
        """Of guests that are down and depend on others that are. `now` is Unix time; `because` is
        what was wrong before healing stopped a guest.
        """
        down = {one.address: one for one in statuses if one.health == "down" and one.made}
        asked = {
            address: by
            for address, one in down.items()
            if (by := asked_by(one, because.get(address, "")))
        }
        found: dict[Address, Cause] = {}
        for address in down:
            below = [one for one in _below(desired, address) if one in down]
            wanted = next((one for one in below if one in asked), None)
            if wanted is not None:
                name = named(wanted, down[wanted].name)
                text = f"it depends on {name}, which {asked[wanted]} stopped"
                found[address] = Cause(text, known=True)
            elif below:
                text = f"it depends on {named(below[0], down[below[0]].name)}, which is down"
                found[address] = Cause(text, known=False)
        known = [*asked, *(address for address, cause in found.items() if cause.known)]
        self._until |= dict.fromkeys(known, now + _KNOWN_S)
        return found

    def is_known(self, address: Address, now: float) -> bool:
        """Whether it is down since somebody wanted that, or was within the hour."""
        return now < self._until.get(address, now)


def _below(desired: Desired, address: Address) -> list[Address]:
    """All that a guest depends on, the nearest first."""
    found: dict[Address, None] = {}
    todo = [address]
    while todo:
        guest = desired.guests.get(todo.pop(0))
        new = [one for one in (guest.dependencies if guest else ()) if one not in found]
        found |= dict.fromkeys(new)
        todo += new
    found.pop(address, None)
    return list(found)


def named(address: Address, name: str) -> str:
    """How people are told of a guest."""
    return f"{address} ({name})" if name else address
