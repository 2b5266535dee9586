"""What is known of each watched guest, told to those who keep it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

from phoenix_hypervisor.app.watching.aside import Aside
from phoenix_hypervisor.app.watching.keeper import Keeper
from phoenix_hypervisor.app.watching.questions import Question
from phoenix_hypervisor.app.watching.status import GuestStatus
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.observed import GuestState, Observed
from phoenix_hypervisor.model.watching import Answer, GuestChanged, Happening, Health
from phoenix_hypervisor.watch.judge import STATES, Judge, Said
from phoenix_hypervisor.watch.store import WHOLE, Key
from phoenix_hypervisor.watch.time_line import Stretch, TimeLine

_UNREAD = "whether guests were made can't be told, by an unexpected {}: this is a bug"
HOLD_S = 25.0
"""How long a look at a guest stands for the time after it: for two more looks, and a bit."""
_LAG_S = 2.0
"""So long a look may tell how a guest was before the hypervisor's last event."""
_NOT_OURS = "it was not made by this stack, and is not asked"
_SETTLE_S = 10.0
"""So long it is waited for the history; then what was known of each counts, else it is missed."""
_SETTLE_AGAIN_S = 20.0
"""While one is absent the history is asked again: a run may have told of it late."""
Record = Callable[[Happening], None]
WasMade = Callable[[Collection[Address]], Collection[Address]]
"""Which of these guests were there before, as far as is known."""


@dataclass(slots=True)
class _Watched:
    name: str
    judge: Judge
    change: GuestChanged | None = None
    verdict: Health | None = None
    """The last one that was recorded; None before the first."""
    since: float = 0.0
    doubts: int = 0
    """How often it was unsettled whether it was made."""


class Guests:
    """All guests that are watched. It outlives sessions."""

    def __init__(self, keeper: Keeper, record: Record, was_made: WasMade | None = None) -> None:
        """`was_made` is asked, in a thread, of guests that begin to be watched and of such that are
        absent, while `settle` runs; all were, where it is not given.
        """
        self._keeper = keeper
        self._was_made = was_made
        self._record = record
        self._guests: dict[Address, _Watched] = {}
        self._lines: dict[Key, TimeLine] = {}
        self._unsettled = asyncio.Event()
        self._aside = Aside(_SETTLE_S)
        self._told: set[str] = set()
        self.answers = 0
        """So far."""

    def __len__(self) -> int:
        """How many are watched."""
        return len(self._guests)

    def keep(self, desired: Desired, questions: Mapping[Key, Question]) -> None:
        """These are watched from now on; of others nothing is known any more."""
        now = time.time()
        sources: dict[Address, dict[str, Literal["outside", "inside"]]] = defaultdict(dict)
        for one in questions.values():
            sources[one.guest][one.name] = one.check.source
        wanted = {address: guest for address, guest in desired.guests.items() if guest.runs}
        for address in self._guests.keys() - wanted.keys():
            self._stretches((address, WHOLE), self._guests.pop(address).judge.close(now))
        for key in self._lines.keys() - questions.keys():
            self._stretches(key, [self._lines.pop(key).close(now)])
        for address, guest in wanted.items():
            watched = self._guests.get(address)
            if watched is None:
                watched = self._guests[address] = _Watched(guest.name, Judge(HOLD_S, since=now))
                self._unsettle(watched)
            watched.name = guest.name
            watched.judge.keep(sources[address])
        for key, question in questions.items():
            self._lines.setdefault(key, TimeLine(question.hold_s)).hold_s = question.hold_s
        self._keeper.watches(questions)

    def can_ask(self, question: Question) -> bool:
        """Whether it makes sense now: its guest runs and is ours, as far as anybody knows."""
        judge = self._guests[question.guest].judge
        if judge.hindered:
            return judge.hindered != _NOT_OURS and question.check.source == "outside"
        return judge.state == "running"

    def __contains__(self, address: object) -> bool:
        """Whether it is watched."""
        return address in self._guests

    def status(self, address: Address) -> GuestStatus:
        """One guest as it is now."""
        watched = self._guests[address]
        judge = watched.judge
        return GuestStatus(
            address,
            watched.name,
            judge.state,
            judge.health,
            judge.since,
            judge.answers,
            judge.why,
            watched.change,
            judge.planned,
            judge.made,
            judge.paused,
        )

    def statuses(self) -> list[GuestStatus]:
        """All of them, in the order of the files."""
        return [self.status(address) for address in list(self._guests)]

    def judge(self, address: Address) -> Judge:
        """What judges a guest."""
        return self._guests[address].judge

    def plan(self, planned: Mapping[Address, str]) -> None:
        """These are away on purpose now, each with the reason; the others are not."""
        for address, watched in self._guests.items():
            why = planned.get(address, "")
            if why != watched.judge.planned:
                watched.judge.planned = why
                if watched.judge.state == "absent":  # a run about it has ended, perhaps
                    self._unsettle(watched)

    def saw(
        self, address: Address, state: GuestState, hindered: str = "", *, paused: bool = False
    ) -> None:
        """The hypervisor says how one is, or can't (`hindered`)."""
        watched, now = self._guests[address], time.time()
        told = watched.change
        known = not hindered and state != "unknown"
        if told is not None and known and told.state != state and now - told.at > _LAG_S:
            watched.change = None  # there was another one since, which nobody told
        if state == "absent" and not hindered and watched.judge.state != "absent":
            self._unsettle(watched)
        known_now = watched.judge.saw(state, now, hindered, paused=paused)
        self._judged(address, watched, known_now, now)

    def looked(self, observed: Observed, stack: str, but: frozenset[Address]) -> None:
        """A look at all of them, of which some are known better by now."""
        for address in self._guests.keys() - but:
            seen = observed.guests.get(address)
            paused = seen is not None and seen.paused
            self.saw(address, *_state(address, observed, stack), paused=paused)

    def changed(self, change: GuestChanged) -> bool:
        """An event; whether it is of a watched guest."""
        watched = self._guests.get(change.address)
        if watched is None:
            return False
        watched.change = change
        if watched.judge.hindered:
            return False
        self.saw(change.address, change.state, paused=change.paused)
        return True

    def lost(self, why: str) -> None:
        """The hypervisor can't be asked."""
        for address in self._guests:
            self.saw(address, "unknown", why)

    def answered(self, question: Question, said: Said, outcome: Outcome, asked: float) -> None:
        """A check was asked at the time `asked`, and has answered now."""
        watched = self._guests.get(question.guest)
        if watched is None:
            return
        self.answers += 1
        now = time.time()
        latency, promised = outcome.latency_ms, question.promised_ms
        health: Health = said
        if said == "down" and watched.judge.planned:
            health = "planned"
        answer = Answer(
            question.guest,
            question.name,
            question.check.kind,
            now,
            health,
            outcome.message,
            latency,
            slow=outcome.late
            or (promised is not None and latency is not None and latency > promised),
            numbers=outcome.numbers,
        )
        self._keeper.answer(answer)
        if (line := self._lines.get(question.key)) is not None:
            ended = line.close(now) if health == "unknown" else line.say(now, STATES[health])
            self._stretches(question.key, [ended])
        self._judged(question.guest, watched, watched.judge.answered(answer, said, asked), now)

    async def settle(self) -> None:
        """Asks which of the guests were made, until it is cancelled: of one that is absent at once,
        before it is said to be down, and again while it is.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLE_AGAIN_S):
                    await self._unsettled.wait()
            self._unsettled.clear()
            await self._settle_now()

    async def _settle_now(self) -> None:
        asked = {
            address: (watched, watched.doubts)
            for address, watched in self._guests.items()
            if watched.judge.unsettled or (watched.judge.state == "absent" and watched.judge.made)
        }
        if self._was_made is None or not asked:
            return
        made: Collection[Address] = {one for one in asked if self._guests[one].judge.made}
        try:
            made = await self._aside(partial(self._was_made, asked))
        except TimeoutError:  # a disk that hangs
            pass
        except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
            self._told_once(_UNREAD.format(type(error).__name__))
        now = time.time()
        for address, (watched, doubts) in asked.items():
            if self._guests.get(address) is watched and watched.doubts == doubts:
                known = watched.judge.settle(now, made=address in made)
                self._judged(address, watched, known, now)

    def _told_once(self, trouble: str) -> None:
        if trouble not in self._told:
            self._told.add(trouble)
            self._record(Happening(time.time(), "trouble", "", trouble))

    def _unsettle(self, watched: _Watched) -> None:
        if self._was_made is not None:
            watched.judge.unsettled = True
            watched.doubts += 1
            self._unsettled.set()

    def close(self) -> None:
        """Nobody watches any more."""
        now = time.time()
        for address, watched in self._guests.items():
            self._stretches((address, WHOLE), watched.judge.close(now))
        for key, line in self._lines.items():
            self._stretches(key, [line.close(now)])

    def _judged(
        self, address: Address, watched: _Watched, known: list[Stretch], now: float
    ) -> None:
        self._stretches((address, WHOLE), known)
        judge = watched.judge
        before, health = watched.verdict, judge.health
        if health == before or (before is None and health == "unknown" and not judge.hindered):
            return
        watched.verdict = health
        text = judge.why
        if health == "up":
            text = "" if before == "unknown" else f"after {now - watched.since:.1f} s"
        elif before in (None, "up"):
            watched.since = judge.since
        if before is not None or health != "up":
            self._record(Happening(now, health, address, text))

    def _stretches(self, key: Key, known: Iterable[Stretch | None]) -> None:
        self._keeper.stretches(key, [each for each in known if each is not None])


def _state(address: Address, observed: Observed, stack: str) -> tuple[GuestState, str]:
    """A guest's state in a look, and why it can't be told; empty where it can."""
    seen = observed.guests.get(address)
    if seen is None:
        hidden = observed.unknown.get(address, "")
        return ("unknown", hidden) if hidden else ("absent", "")
    if seen.stack != stack:
        return "unknown", _NOT_OURS
    return seen.state, ""
