"""Brings one fault after the other over two running, watched stacks, and measures what is felt."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tests.chaos import care, faults, measure, table
from tests.chaos.clients import QUIET_S, Clients
from tests.chaos.endpoints import all_of
from tests.chaos.measure import LIMIT_S, Outcome, Run
from tests.chaos.order import Target, dealt
from tests.chaos.stacks import Stacks, brought_up
from tests.chaos.watchers import Watchers, watched

Say = Callable[[str], None]
_TICK_S = 0.2
_CALM_S = 240.0
"""So long the next fault waits for the one before to be over; then the run is broken off."""
_ALL_ASKED_S = 12.0
"""Two of the watcher's intervals: each check was asked, so that a guest can count as up."""
_LOOK_S = 2.0


@dataclass(frozen=True)
class Wishes:
    """What is to be played: `count` faults, one each `every_s` at the most often. `slack` times as
    long as else may each take.
    """

    count: int
    every_s: float = 60.0
    seed: int = 1
    kinds: tuple[str, ...] = tuple(faults.HIT)
    slack: float = 1.0

    @property
    def limit_s(self) -> float:
        """How long a fault may take."""
        return LIMIT_S * self.slack


def play(place: Path, letters: tuple[str, str], wishes: Wishes, say: Say) -> Run:
    """All of it: brings the stacks up, hurts them, and clears them away."""
    began = time.monotonic()
    with brought_up(place, letters) as stacks:
        say(f"both stacks are up after {time.monotonic() - began:.0f} s")
        return over(stacks, wishes, say)


def over(stacks: Stacks, wishes: Wishes, say: Say) -> Run:
    """Faults over stacks that are up."""
    with watched(stacks) as watchers, Clients(all_of(stacks)) as clients:
        return _Player(stacks, watchers, clients, wishes, say).play()


class _Over(Exception):
    """The run can't go on."""


class _Player:
    def __init__(
        self, stacks: Stacks, watchers: Watchers, clients: Clients, wishes: Wishes, say: Say
    ) -> None:
        self._stacks = {"quickstart": stacks.quickstart, "replicas": stacks.replicas}
        self._watchers, self._clients = watchers, clients
        self._wishes, self._say = wishes, say

    def play(self) -> Run:
        outcomes: list[Outcome] = []
        flaws: list[str] = []
        began = time.monotonic()
        try:
            for outcome in self._outcomes():
                outcomes.append(outcome)
                self._say(table.line(len(outcomes), outcome, self._wishes.limit_s))
                for each in table.details(outcome):
                    self._say(each)
        except _Over as error:
            flaws.append(str(error))
        flaws += [
            f"{stack}: {line['message']}"
            for stack in self._stacks
            for line in self._watchers.told(stack)
            if line["event"] == "trouble"
        ]
        kept = tuple(
            measure.kept(each.title, self._clients.replies(each), sacred=each.kept_by_replicas)
            for each in self._clients.endpoints
        )
        took_s = time.monotonic() - began
        wishes = self._wishes
        return Run(tuple(outcomes), kept, wishes.seed, took_s, wishes.slack, tuple(flaws))

    def _outcomes(self) -> Iterator[Outcome]:
        self._calm(_ALL_ASKED_S)
        begin = time.monotonic()
        hit = {kind: faults.HIT[kind] for kind in self._wishes.kinds}
        order = islice(dealt(hit, self._wishes.seed), self._wishes.count)
        for number, (kind, target) in enumerate(order):
            self._calm(max(0.0, begin + number * self._wishes.every_s - time.monotonic()))
            yield self._hurt(kind, target)

    def _calm(self, least_s: float) -> None:
        """Waits so long, and until all is well."""
        begin = time.monotonic()
        time.sleep(least_s)
        while ill := [*self._clients.ill(self._stacks), *self._watchers.down()]:
            if ended := self._watchers.ended():
                raise _Over("; ".join(ended))
            if time.monotonic() > begin + least_s + _CALM_S:
                raise _Over(f"not well after {_CALM_S:.0f} s more: {', '.join(ill)}")
            time.sleep(_TICK_S)

    def _hurt(self, kind: str, target: Target) -> Outcome:
        began = time.time()
        at = faults.strike(kind, self._stacks[target.stack], target)
        room_s, ill = self._until_over(kind, target, at)
        while self._watchers.down() and time.time() < at + self._wishes.limit_s:
            time.sleep(_TICK_S)  # so that what the watcher tells of it is whole
        replies = [
            reply
            for each in self._clients.endpoints
            if each.stack == target.stack
            for reply in self._clients.replies(each)
        ]
        recovery_s, lost = measure.felt(replies, began, at)
        said = care.read(self._watchers.told(target.stack, began), target.address, at)
        return Outcome(kind, target, at, recovery_s, lost, said, room_s, tuple(ill))

    def _until_over(self, kind: str, target: Target, at: float) -> tuple[float | None, list[str]]:
        """Waits until nothing more is felt, or for the limit; when a full disk took something
        again, and what is still not well.
        """
        stack, full, room_s = self._stacks[target.stack], kind == "disk filled", None
        looked = 0.0
        while True:
            time.sleep(_TICK_S)
            now = time.time()
            if full and now > looked + _LOOK_S:
                looked = now
                if faults.takes(stack, target):
                    room_s, full = now - at, False
            ill = [*self._clients.ill((target.stack,)), *["its disk takes nothing"] * full]
            if (not ill and now > at + QUIET_S) or now > at + self._wishes.limit_s + QUIET_S:
                return room_s, ill
