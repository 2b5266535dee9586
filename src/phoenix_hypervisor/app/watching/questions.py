"""What is asked while watching: each check of each guest that is to run, and how often."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Check, Outcome, Place
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.watch.store import Key

INTERVAL_S = 5.0
"""How often a check is asked where nothing else is said."""
_REHEARSED = Outcome(True, "simulated: the guest runs, and nothing was asked")


@dataclass(frozen=True, slots=True)
class Question:
    """One check of a guest, as it is asked every `every_s` seconds; `name` is its own there."""

    guest: Address
    name: str
    check: Check
    every_s: float
    promised_ms: float | None

    @property
    def key(self) -> Key:
        """What its answers are kept under."""
        return self.guest, self.name

    @property
    def hold_s(self) -> float:
        """How long an answer stands for the time after it: until the next one could be there."""
        return 2 * self.every_s + self.check.timeout_s + INTERVAL_S


def questions(desired: Desired, interval_s: float) -> dict[Key, Question]:
    """All of them, in the order of the files. `interval_s` counts where a check says nothing."""
    found = (
        one for guest in desired.guests.values() if guest.runs for one in _of(guest, interval_s)
    )
    return {one.key: one for one in found}


def names(guest: Guest) -> Mapping[str, Check]:
    """A guest's checks by names of their own: two with one title are told apart by a number."""
    seen: Counter[str] = Counter()
    found: dict[str, Check] = {}
    for check in guest.checks:
        seen[check.title] += 1
        number = seen[check.title]
        found[check.title if number == 1 else f"{check.title} ({number})"] = check
    return found


async def ask(question: Question, place: Place, *, real: bool) -> Outcome:
    """Asks it. `real` False: the guest is simulated, and only what is on this machine is asked."""
    if not real and not _is_here(question.check, place):
        return _REHEARSED
    return await question.check.ask(place)


def _of(guest: Guest, interval_s: float) -> list[Question]:
    promised = guest.slo.latency_p95_ms if guest.slo else None
    return [
        Question(
            guest.address,
            name,
            check.watched(),
            check.every_s or max(interval_s, check.usual_every_s or 0.0),
            promised,
        )
        for name, check in names(guest).items()
    ]


def _is_here(check: Check, place: Place) -> bool:
    if check.source != "outside":
        return False
    address = getattr(check, "address", None) or place.address
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
