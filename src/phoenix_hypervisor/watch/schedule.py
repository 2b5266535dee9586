"""When which question is asked: spread over its interval, bounded, and never piling up.

Times are seconds of a clock that is never set (`time.monotonic`). A question has fixed turns: its
interval's multiples, moved by a hash of its key, so that thousands with one interval are spread
evenly, and the same at every start. It is not asked again before it was answered: turns that pass
meanwhile are left out and counted.
"""

import heapq
import math
from collections.abc import Hashable, Iterable
from hashlib import blake2b
from typing import Generic, TypeVar

from phoenix_hypervisor.watch.latencies import Latencies

K = TypeVar("K", bound=Hashable)

_FIRST_S = 5.0
"""Within so many seconds each is asked for the first time, however long its interval is."""
_REMEMBERED_S = 300.0
_LATELY_S = 30.0
_MS = 1000.0


class Lateness:
    """How much later than planned questions were asked, of some time that ends now."""

    def __init__(self, remembered_s: float = _REMEMBERED_S) -> None:
        """Each is remembered for `remembered_s` to twice as long: five to ten minutes."""
        self._remembered_s = remembered_s
        self._now, self._before = Latencies(), Latencies()
        self._turned: float | None = None
        self.worst_s = 0.0
        """Ever."""
        self.left_out = 0
        """Turns that passed while the question before them was not answered yet, ever."""

    def add(self, now: float, late_s: float) -> None:
        """Counts one that is asked now."""
        self._forget(now)
        self._now.add(late_s * _MS)
        self.worst_s = max(self.worst_s, late_s)

    def percentile_s(self, share: float, now: float | None = None) -> float | None:
        """Of the questions asked lately, in seconds; None where there were none. Without `now` the
        last question's time is meant.
        """
        if now is not None:
            self._forget(now)
        both = Latencies()
        both.merge(self._before)
        both.merge(self._now)
        found = both.percentile(share)
        return None if found is None else min(found / _MS, self.worst_s)

    def _forget(self, now: float) -> None:
        if self._turned is None or now >= self._turned + self._remembered_s:
            over = self._turned is not None and now >= self._turned + 2 * self._remembered_s
            self._before = Latencies() if over else self._now
            self._now, self._turned = Latencies(), now


class Schedule(Generic[K]):
    """The questions of a watcher by their keys."""

    def __init__(self, at_once: int) -> None:
        """At most `at_once` are under way at any time."""
        self._at_once = at_once
        self._every: dict[K, float] = {}
        self._due: dict[K, float] = {}
        self._order: list[tuple[float, int, K]] = []
        self._number = 0
        self._asked: dict[K, float] = {}
        self.lateness = Lateness()
        self.lately = Lateness(_LATELY_S)
        """That of the last half to whole minute."""

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self._every)

    @property
    def under_way(self) -> int:
        """How many are not answered yet."""
        return len(self._asked)

    def keep(self, wanted: Iterable[tuple[K, float]], now: float) -> None:
        """These are the questions now, each with its interval in seconds; others are dropped."""
        before, self._every = self._every, dict(wanted)
        for key in before.keys() - self._every.keys():
            self._due.pop(key, None)
        for key, every_s in self._every.items():
            if before.get(key) != every_s and key not in self._asked:
                self._put(key, self._turn(key, min(every_s, _FIRST_S), now))

    def at_once(self, key: K, now: float) -> None:
        """Brings a question's turn forward to now; one that is under way or unknown is left."""
        if key in self._due and self._due[key] > now:
            self._put(key, now)

    def take(self, now: float) -> list[K]:
        """Those to be asked now, the most overdue first. Each must be `answered`."""
        taken: list[K] = []
        while self._order and self._order[0][0] <= now and len(self._asked) < self._at_once:
            due, _, key = heapq.heappop(self._order)
            if self._due.get(key) != due:
                continue  # it was moved, or dropped
            del self._due[key]
            self._asked[key] = due
            self.lateness.add(now, now - due)
            self.lately.add(now, now - due)
            taken.append(key)
        return taken

    def answered(self, key: K, now: float, again_s: float | None = None) -> None:
        """Its next turn is its own next one; with `again_s` so many seconds from now, if sooner."""
        due = self._asked.pop(key)
        every_s = self._every.get(key)
        if every_s is None:
            return  # dropped meanwhile
        turn = self._turn(key, every_s, now)
        self.lateness.left_out += max(0, math.floor((now - due) / every_s))
        self._put(key, turn if again_s is None else min(turn, now + again_s))

    def abandon(self, now: float) -> None:
        """Nobody waits any more for what is under way: it is asked in its next turn."""
        for key in list(self._asked):
            self.answered(key, now)

    def next_s(self, now: float) -> float | None:
        """Seconds until the next turn, 0 where one is overdue; None where none can come now."""
        while self._order and self._due.get(self._order[0][2]) != self._order[0][0]:
            heapq.heappop(self._order)
        if not self._order or len(self._asked) >= self._at_once:
            return None
        return max(0.0, self._order[0][0] - now)

    def _put(self, key: K, due: float) -> None:
        self._due[key] = due
        self._number += 1
        heapq.heappush(self._order, (due, self._number, key))

    @staticmethod
    def _turn(key: K, every_s: float, now: float) -> float:
        """The first turn after `now`."""
        moved = (
            int.from_bytes(blake2b(repr(key).encode(), digest_size=4).digest()) / 2**32 * every_s
        )
        turn = (math.floor((now - moved) / every_s) + 1) * every_s + moved
        return turn if turn > now else turn + every_s
