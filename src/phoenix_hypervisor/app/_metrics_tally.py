"""Counters of one process, made of measurements that grow in a file.

A counter of Prometheus begins at 0 with its process and never falls; the file begins earlier and
forgets. So what the file held at the first look is taken off, and minutes that no longer grow are
added up once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.roll_up import MINUTE_S, RollUp
from phoenix_hypervisor.watch.store import Key, Reader

LIMITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper ends of a latency histogram's buckets, seconds."""
_MS = 1000.0
_STILL_GROWS_S = 3 * MINUTE_S
_WRITTEN_LATE_S = 600.0
_AT_ONCE = 10_000


@dataclass(slots=True)
class Counts:
    """Of one series: seconds in each state, answers, and how many came within each limit.

    `took_s` is the time of all answers together, to 5 %.
    """

    up_s: float = 0.0
    down_s: float = 0.0
    planned_s: float = 0.0
    answers: float = 0.0
    failed: float = 0.0
    slow: float = 0.0
    took_s: float = 0.0
    within: list[float] = field(default_factory=lambda: [0.0] * len(LIMITS_S))
    timed: float = 0.0
    """Answers whose latency is known."""

    @classmethod
    def of(cls, part: RollUp) -> "Counts":
        """What a roll-up counts."""
        return cls(
            part.up_s,
            part.down_s,
            part.planned_s,
            part.answers,
            part.failed,
            part.slow,
            part.latencies.total_ms / _MS,
            [float(n) for n in part.latencies.cumulative(limit * _MS for limit in LIMITS_S)],
            part.latencies.answers,
        )

    def plus(self, other: "Counts", times: int = 1) -> "Counts":
        """Both together; `times` -1 takes the other off. Nothing falls below 0."""
        ours, theirs = self.values(), other.values()
        return self._of([a + times * b for a, b in zip(ours, theirs, strict=True)])

    def floored(self) -> "Counts":
        """Where the file was begun anew, less is in it than was taken off: then it is 0."""
        return self._of([max(0.0, value) for value in self.values()])

    def values(self) -> list[float]:
        """All of them, in their order."""
        times = [self.up_s, self.down_s, self.planned_s]
        return [*times, self.answers, self.failed, self.slow, self.took_s, *self.within, self.timed]

    @classmethod
    def _of(cls, values: list[float]) -> "Counts":
        up, down, planned, answers, failed, slow, took, *within, timed = values
        return cls(up, down, planned, answers, failed, slow, took, within, timed)


class Tally:
    """The counts of every series since the first look."""

    def __init__(self) -> None:
        self._done: dict[Key, Counts] = {}
        self._from: int | None = None

    def look(self, reader: Reader | None, now: float) -> Mapping[Key, Counts]:
        """All counts so far. None: nothing was ever watched yet."""
        closed = int(now // MINUTE_S) * MINUTE_S - _STILL_GROWS_S
        end = now + MINUTE_S
        if self._from is None:
            self._from = closed
            self._add(reader, self._from, end, -1)
        if reader is None:
            return {}
        if closed > self._from:
            self._add(reader, self._from, closed, 1)
            self._from = closed
        found = dict(self._done)
        for key, part in reader.each(self._from, end).items():
            found[key] = found.get(key, Counts()).plus(Counts.of(part))
        return {key: counts.floored() for key, counts in found.items()}

    def _add(self, reader: Reader | None, start: float, end: float, times: int) -> None:
        for key, part in reader.each(start, end).items() if reader is not None else ():
            self._done[key] = self._done.get(key, Counts()).plus(Counts.of(part), times)


class Happened:
    """How often what happened since this process began."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._latest = began
        self._seen: set[Happening] = set()
        self.counts: dict[tuple[str, str, str], int] = {}
        """By guest, what and step."""

    def look(self, reader: Reader) -> None:
        """Counts what is new. Some is written later than what came after it."""
        since = max(self._began, self._latest - _WRITTEN_LATE_S)
        found = reader.happenings(since=since, limit=_AT_ONCE)
        for each in (each for each in found if each not in self._seen):
            key = (str(each.guest), each.what, each.step)
            self.counts[key] = self.counts.get(key, 0) + 1
            self._latest = max(self._latest, each.at)
        self._seen = set(found)


@dataclass(slots=True)
class Numbers:
    """A histogram of single numbers, such as the times to a first token in seconds."""

    within: list[int] = field(default_factory=lambda: [0] * len(LIMITS_S))
    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """Counts one."""
        self.count += 1
        self.total += value
        for place, limit in enumerate(LIMITS_S):
            self.within[place] += value <= limit


class Samples:
    """The times that single answers of checks bring, in seconds, since this process began."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._latest: dict[Key, float] = {}
        self.numbers: dict[tuple[Key, str], Numbers] = {}
        """By series and name."""

    def look(self, reader: Reader, keys: Iterable[Key], now: float) -> None:
        """Counts the answers of these checks that are new; a check's own come in order."""
        for key in keys:
            after = self._latest.get(key, self._began)
            for point in reader.plot(*key, after, now + MINUTE_S):
                if point.at <= after:
                    continue
                self._latest[key] = point.at
                for name, value in point.numbers.items():
                    if name.endswith("_ms"):
                        self.numbers.setdefault((key, name), Numbers()).add(value / _MS)
