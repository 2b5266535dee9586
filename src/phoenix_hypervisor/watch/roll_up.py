"""What is kept of a minute, or of an hour, of one series of answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from phoenix_hypervisor.watch.latencies import Latencies
from phoenix_hypervisor.watch.time_line import State, Stretch, Totals

MINUTE_S = 60
HOUR_S = 3600


@dataclass(slots=True)
class RollUp:
    """Time in each state (s), and how the answers were."""

    up_s: float = 0.0
    down_s: float = 0.0
    planned_s: float = 0.0
    answers: int = 0
    failed: int = 0
    slow: int = 0
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def totals(self) -> Totals:
        """Its times alone."""
        return Totals(self.up_s, self.down_s, self.planned_s)

    def add(self, stretch: Stretch) -> None:
        """Counts a stretch, all of it."""
        seconds = stretch.end - stretch.start
        match stretch.state:
            case State.UP:
                self.up_s += seconds
            case State.DOWN:
                self.down_s += seconds
            case State.PLANNED:
                self.planned_s += seconds

    def merge(self, other: "RollUp") -> None:
        """Counts all of the other too."""
        self.up_s += other.up_s
        self.down_s += other.down_s
        self.planned_s += other.planned_s
        self.answers += other.answers
        self.failed += other.failed
        self.slow += other.slow
        self.latencies.merge(other.latencies)


def minutes(stretch: Stretch) -> Iterator[tuple[int, Stretch]]:
    """A stretch cut at full minutes, each part with its minute (Unix time of its start)."""
    start = stretch.start
    while start < stretch.end:
        minute = int(start // MINUTE_S) * MINUTE_S
        end = min(stretch.end, minute + MINUTE_S)
        yield minute, Stretch(start, end, stretch.state)
        start = end
