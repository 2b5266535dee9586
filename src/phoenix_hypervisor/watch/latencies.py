"""How long answers took: a histogram that can be kept small and added up.

Buckets grow by a tenth each, so a percentile that is read from it is at most 10 % too high.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable

_STEP = math.log(1.1)
_LEAST_MS = 0.1


class Latencies:
    """Counts of answers by how long they took, in milliseconds."""

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        """`counts`: pairs of a bucket and how many answers were in it."""
        self._counts: Counter[int] = Counter(dict(counts))

    def add(self, latency_ms: float) -> None:
        """Counts one answer."""
        self._counts[_bucket(latency_ms)] += 1

    def merge(self, other: "Latencies") -> None:
        """Counts all of the other's answers too, which another thread may be counting just now."""
        self._counts.update(dict(other._counts))  # noqa: SLF001

    @property
    def answers(self) -> int:
        """How many there are."""
        return self._counts.total()

    def percentile(self, share: float) -> float | None:
        """The upper end of the bucket that holds it, ms; None without answers. `share`: 0 to 1."""
        wanted = max(1, math.ceil(share * self.answers))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return _upper(bucket)
        return None

    def cumulative(self, limits_ms: Iterable[float]) -> list[int]:
        """How many answers were in buckets that end by each of these limits, which grow."""
        rest, seen, found = sorted(self._counts.items()), 0, []
        place = 0
        for limit in limits_ms:
            while place < len(rest) and _upper(rest[place][0]) <= limit:
                seen += rest[place][1]
                place += 1
            found.append(seen)
        return found

    @property
    def total_ms(self) -> float:
        """How long all took together, ms: each as long as the middle of its bucket."""
        return sum(_upper(bucket) / math.sqrt(1.1) * n for bucket, n in self._counts.items())

    def text(self) -> str:
        """As JSON, to be kept; empty without answers."""
        return json.dumps(sorted(self._counts.items())) if self._counts else ""

    @classmethod
    def of(cls, text: str) -> "Latencies":
        """What `text` gave."""
        return cls((bucket, count) for bucket, count in json.loads(text or "[]"))


def _bucket(latency_ms: float) -> int:
    return max(0, math.ceil(math.log(max(latency_ms, _LEAST_MS) / _LEAST_MS) / _STEP - 1e-9))


def _upper(bucket: int) -> float:
    return float(_LEAST_MS * math.exp(bucket * _STEP))
