"""Asks checks for those who look, where nobody watches: as seldom and as lightly as watching does.

Nobody waits for a slow check: its answer is there at a later look.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress

from phoenix_hypervisor.app import Health, Session, hiding
from phoenix_hypervisor.app.watching.places import Places
from phoenix_hypervisor.app.watching.questions import Question, names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.watching import Answer
from phoenix_hypervisor.model.watching import Health as Judged
from phoenix_hypervisor.watch.store import Key

_AT_ONCE = 8
_CONFIRM_S = 0.5
_PATIENCE_S = 0.5


class Asking:
    """What was asked from here. `session` opens the folder."""

    def __init__(self, session: Callable[[], AbstractAsyncContextManager[Session]]) -> None:
        self._session = session
        self._answers: dict[Key, Answer] = {}
        self._under_way: set[Key] = set()
        self._rounds: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def answers(self, questions: Mapping[Key, Question]) -> dict[Key, Answer]:
        """Those that still stand."""
        now = time.time()
        return {
            key: one
            for key, one in self._answers.items()
            if key in questions and now - one.at <= questions[key].hold_s
        }

    async def ask(self, questions: Iterable[Question]) -> None:
        """Asks those of them whose time has come, and waits a moment for the answers."""
        due = [one for one in questions if self._is_due(one)]
        if not due:
            return
        self._under_way |= {one.key for one in due}
        task = asyncio.create_task(self._round(due))
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)
        await asyncio.wait({task}, timeout=_PATIENCE_S)

    def heard(self, found: Iterable[Health], named: Mapping[Address, Sequence[str]]) -> None:
        """Takes what checks answered that a person asked for; `named` as `checks_of` gives it."""
        now = time.time()
        for health in found:
            told = zip(named[health.address], health.answers, strict=False)
            for name, (check, outcome) in told:
                key = (health.address, name)
                judged: Judged = "up" if outcome.ok or outcome.late else "down"
                self._answers[key] = _answer(key, check.kind, now, judged, outcome)

    def _is_due(self, one: Question) -> bool:
        last = self._answers.get(one.key)
        return one.key not in self._under_way and (
            last is None or time.time() - last.at >= one.every_s
        )

    async def _round(self, due: Iterable[Question]) -> None:
        try:
            async with self._session() as session:
                places = Places(session)
                try:
                    async with asyncio.TaskGroup() as group:
                        for one in due:
                            group.create_task(self._one(session, places, one))
                finally:
                    await places.close()
        except PhoenixError as error:  # nothing could be asked at all
            now, told = time.time(), Outcome(False, error.message)
            for one in due:
                self._answers[one.key] = _answer(one.key, one.check.kind, now, "unknown", told)
        finally:
            self._under_way -= {one.key for one in due}

    async def _one(self, session: Session, places: Places, one: Question) -> None:
        async with self._slots:
            judged, outcome = await self._asked(session, places, one)
            if judged == "down":  # as watching does, which asks again before it says so
                await asyncio.sleep(_CONFIRM_S)
                judged, outcome = await self._asked(session, places, one)
        outcome = hiding.outcome(outcome, session.hiding(one.guest))
        self._answers[one.key] = _answer(one.key, one.check.kind, time.time(), judged, outcome)
        self._under_way.discard(one.key)

    @staticmethod
    async def _asked(session: Session, places: Places, one: Question) -> tuple[Judged, Outcome]:
        try:
            async with places.at(session.desired.guests[one.guest], one.check) as place:
                outcome = await one.check.ask(place)
                if not outcome.ok:
                    with suppress(PhoenixError):
                        await place.refresh()
        except PhoenixError as error:  # where it is could not be asked
            return "unknown", Outcome(False, error.message)
        except Exception as error:  # noqa: BLE001 - a bug of one check costs that check alone
            kind = type(error).__name__
            return "unknown", Outcome(False, f"the check broke, by an unexpected {kind}")
        return ("up" if outcome.ok or outcome.late else "down"), outcome


def checks_of(session: Session) -> dict[Address, list[str]]:
    """The names of all guests' checks, in the order in which `Session.health` answers."""
    return {address: list(names(guest)) for address, guest in session.desired.guests.items()}


def _answer(key: Key, kind: str, at: float, judged: Judged, outcome: Outcome) -> Answer:
    address, name = key
    return Answer(
        address,
        name,
        kind,
        at,
        judged,
        outcome.message,
        outcome.latency_ms,
        numbers=outcome.numbers,
    )
