"""What Prometheus is told of a folder's stack, made of what is kept of it anyway.

Import it where metrics are served: it loads prometheus-client.

Names follow the practice of Prometheus and OpenMetrics: base units, `_total` for counters. A sample
that nobody knows is left out, rather than told as 0.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from phoenix_hypervisor.app import _metrics_families as families
from phoenix_hypervisor.app._metrics_seen import Applied, Objectives, Seen, Told, health_of
from phoenix_hypervisor.app._metrics_tally import Happened, Samples, Tally
from phoenix_hypervisor.app.watching.questions import questions
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.store import Reader

Hide = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Exposition:
    """One answer to Prometheus, and its `Content-Type`."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Watcher:
    """What only the process knows that watches. Times in seconds.

    `lateness` maps shares (0.99) to how late questions were asked; `left_out` counts turns that
    passed without a question, ever; `answered` counts questions. `writes` is False where
    measurements can't be written.
    """

    statuses: Sequence[GuestStatus] = ()
    lateness: tuple[tuple[float, float], ...] = ()
    left_out: int = 0
    answered: int = 0
    checks: int = 0
    writes: bool = True


@dataclass
class Metrics:
    """Of one folder and one process: keep it as long as that lives, since counters grow in it.

    `hide` takes secrets out of names. All methods block for the time of some queries.
    """

    folder: Path
    hide: Hide = str
    clock: Callable[[], float] = time.time
    _reader: Reader | None = None
    _file: int | None = None
    _tally: Tally = field(default_factory=Tally)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        began = self.clock()
        self._happened, self._samples = Happened(began), Samples(began)
        self._applied = Applied(self.folder, began)
        self._objectives = Objectives()

    def exposition(
        self, desired: Desired, accept: str = "", watcher: Watcher | None = None
    ) -> Exposition:
        """All that is known now, as text, or as OpenMetrics where `accept` asks for that."""
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        with self._lock:
            registry.register(_Once(list(self._families(desired, watcher))))
        return Exposition(content_type, encode(registry))

    def close(self) -> None:
        """Closes the file of measurements."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _families(self, desired: Desired, watcher: Watcher | None) -> Iterator[Metric]:
        began = time.perf_counter()
        told = Told(desired, self.hide)
        readable = True
        try:
            seen = self._look(desired)
        except (DataUnreadable, sqlite3.Error):
            with suppress(sqlite3.Error):
                self.close()
            seen, readable = Seen(), False
        statuses = {one.address: one for one in watcher.statuses} if watcher else {}
        health = health_of(desired, seen, statuses, self.clock())
        yield from families.of_build(desired)
        yield from families.of_guests(told, statuses, health)
        yield from families.of_checks(told, seen)
        yield from families.of_objectives(told, seen)
        yield from families.of_llm(told, seen)
        yield from families.of_happenings(told, seen)
        yield from families.of_cards(told)
        yield from families.of_applies(self._applied.look())
        if watcher is not None:
            yield from families.of_watcher(watcher)
        yield from families.of_itself(readable, time.perf_counter() - began)

    def _look(self, desired: Desired) -> Seen:
        now = self.clock()
        self._open()
        counts = self._tally.look(self._reader, now)
        asked = questions(desired, desired.watch.interval_s)
        holds = {key: one.hold_s for key, one in asked.items()}
        if self._reader is None:
            return Seen(holds=holds)
        latest = self._reader.latest()
        self._happened.look(self._reader)
        measured = [(one.guest, one.check) for one in latest if one.numbers]
        self._samples.look(self._reader, measured, now)
        return Seen(
            latest={(one.guest, one.check): one for one in latest},
            holds=holds,
            counts=counts,
            happened=dict(self._happened.counts),
            numbers=dict(self._samples.numbers),
            windows=self._objectives.look(self._reader, now),
        )

    def _open(self) -> None:
        """Opens the file where it isn't yet, or where another one stands in its place."""
        try:
            found = database.path(self.folder).stat().st_ino
        except FileNotFoundError:
            found = None
        if found != self._file:
            self.close()
        if self._reader is None:
            self._reader, self._file = Reader.open(self.folder), found


class _Once:
    """Hands families over to a registry."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        """All of them."""
        return self._found
