"""What one look at the stack's records finds, before it is put into Prometheus's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phoenix_hypervisor.app._metrics_tally import Counts, Numbers
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.history import reading
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.watching import Answer, Health
from phoenix_hypervisor.watch.slo import BURN_RULES, WINDOWS
from phoenix_hypervisor.watch.store import Key, Reader
from phoenix_hypervisor.watch.time_line import Totals

_RUNS = 100
APPLY_LIMITS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper ends of the buckets of how long runs took."""
_SOONEST_S, _LATEST_S = 5.0, 300.0
"""Windows are added up again after a hundredth of their length, within these bounds."""


def _named(seconds: float) -> str:
    """A window as Prometheus writes one: `5m`, `6h`, `3d`."""
    for unit, name in ((86400.0, "d"), (3600.0, "h")):
        if seconds % unit == 0:
            return f"{seconds / unit:.0f}{name}"
    return f"{seconds / 60:.0f}m"


WINDOWS_S: Mapping[str, float] = WINDOWS | {
    _named(seconds): seconds for rule in BURN_RULES for seconds in (rule.short_s, rule.long_s)
}
"""All windows that anything is told of, by name; those of objectives, and those of burn rates."""


@dataclass(frozen=True, slots=True)
class Told:
    """A desired state, and its guests by the words of labels."""

    desired: Desired
    hide: Callable[[str], str]

    @property
    def guests(self) -> list[Guest]:
        """Those that are to run."""
        return [guest for guest in self.desired.guests.values() if guest.runs]

    def guest(self, address: Address) -> list[str]:
        """Its labels `guest` and `name`."""
        found = self.desired.guests.get(address)
        return [str(address), self.hide(found.name) if found else ""]

    def check(self, key: Key) -> list[str]:
        """The labels `guest`, `name` and `check`."""
        return [*self.guest(key[0]), self.hide(key[1])]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the measurements; `holds` says for how many seconds an answer of each counts."""

    latest: Mapping[Key, Answer] = field(default_factory=dict)
    holds: Mapping[Key, float] = field(default_factory=dict)
    counts: Mapping[Key, Counts] = field(default_factory=dict)
    happened: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    numbers: Mapping[tuple[Key, str], Numbers] = field(default_factory=dict)
    windows: Mapping[str, Mapping[Address, Totals]] = field(default_factory=dict)


def health_of(
    desired: Desired, seen: Seen, statuses: Mapping[Address, GuestStatus], now: float
) -> dict[Address, Health]:
    """How each guest is that is to run: as the watching process says, else by its last answers.

    Answers that are too old say nothing any more.
    """
    said: dict[Address, set[Health]] = {}
    for key, one in seen.latest.items():
        if key in seen.holds:
            fresh = now - one.at <= seen.holds[key]
            said.setdefault(key[0], set()).add(one.health if fresh else "unknown")
    order: tuple[Health, ...] = ("down", "planned", "unknown", "up")
    found: dict[Address, Health] = {}
    for address, guest in desired.guests.items():
        if address in statuses:
            found[address] = statuses[address].health
        elif guest.runs:
            healths = said.get(address, set())
            found[address] = next((one for one in order if one in healths), "unknown")
    return found


class Objectives:
    """How long guests were up in each window; long windows are not added up at every look."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, dict[Address, Totals]]] = {}

    def look(self, reader: Reader, now: float) -> dict[str, dict[Address, Totals]]:
        """By window and guest."""
        for name, seconds in WINDOWS_S.items():
            at, _ = self._found.get(name, (float("-inf"), {}))
            if not 0 <= now - at < min(_LATEST_S, max(_SOONEST_S, seconds / 100)):
                rolled = reader.summed(now - seconds, now)
                self._found[name] = (now, {guest: part.totals for guest, part in rolled.items()})
        return {name: found for name, (_, found) in self._found.items()}


@dataclass(slots=True)
class Took:
    """How many runs ended one way, how long all took together, and how many within each limit."""

    runs: int = 0
    total_s: float = 0.0
    within: list[int] = field(default_factory=lambda: [0] * len(APPLY_LIMITS_S))

    def add(self, took_s: float) -> None:
        """One more."""
        self.runs += 1
        self.total_s += took_s
        self.within = [
            count + (took_s <= limit)
            for count, limit in zip(self.within, APPLY_LIMITS_S, strict=True)
        ]


@dataclass(slots=True)
class Applies:
    """Runs that changed something: those that ended since this process began, by their result, and
    the last.
    """

    ended: Mapping[str, Took] = field(default_factory=dict)
    running: int = 0
    last: PastRun | None = None
    readable: bool = True


class Applied:
    """Reads the history again and again."""

    def __init__(self, folder: Path, began: float) -> None:
        self._folder = folder
        self._began = began
        self._counted: set[str] = set()
        self._ended: dict[str, Took] = {}

    def look(self) -> Applies:
        """What it tells now; a history that can't be read tells nothing new."""
        try:
            runs = reading.runs(self._folder, _RUNS)
        except PhoenixError:
            return Applies(self._ended, readable=False)
        ended = {run.id: run for run in runs if run.ended is not None}
        for run in ended.values():
            if run.id not in self._counted and (run.ended or 0.0) >= self._began:
                self._ended.setdefault(run.result, Took()).add(run.took_s or 0.0)
        self._counted = set(ended)
        return Applies(
            ended=self._ended,
            running=sum(run.result == "running" for run in runs),
            last=next((run for run in runs if run.result not in ("running", "unknown")), None),
        )
