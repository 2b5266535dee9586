"""Tells people what is wrong: each target by a sender of its own, which never holds anybody up."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from phoenix_hypervisor.app.notifying import Notifier
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.watch import AlertWords
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.alerting import Alerting, Change, Condition, concerns, message

_WAITING = 500
"""Lines that wait for one target, at most; the oldest goes first."""
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_LAST_TRY_S = 5.0
Record = Callable[[Happening], None]


class Alerts:
    """All alerts of a stack. `record` keeps what was told, for a watcher that starts anew.

    An alert counts as told once the first of its targets has it, and at once where it concerns
    none. What could not be sent yet is kept in memory, and sent when that works again.
    """

    def __init__(
        self,
        stack: str,
        words: AlertWords,
        targets: Sequence[Notifier],
        record: Record,
        *,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._stack = stack
        self._record = record
        self._first_pause_s = first_pause_s
        self._alerting = Alerting(group_s=words.group_s, remind_s=words.remind_s)
        self._senders: dict[str, _Sender] = {}
        self._untold: set[str] = set()
        self.configure(words, targets)

    def configure(self, words: AlertWords, targets: Sequence[Notifier]) -> None:
        """The files have changed. What waits for a target that is still there goes on waiting."""
        self._alerting.group_s, self._alerting.remind_s = words.group_s, words.remind_s
        wanted = {target.name: target for target in targets}
        for name in self._senders.keys() - wanted.keys():
            self._senders.pop(name).stop()
        for name, target in wanted.items():
            if name in self._senders:
                self._senders[name].target = target
            else:
                self._senders[name] = _Sender(
                    target, self._stack, self._told, self._trouble, self._first_pause_s
                )

    def restore(self, happenings: Iterable[Happening]) -> None:
        """Takes up what an earlier watcher told, the newest first, as `Reader.happenings` gives."""
        self._alerting.restore(happenings)

    @property
    def active(self) -> list[Condition]:
        """What was told, or waits for its targets, and is not over; in the words of now."""
        return self._alerting.active

    @property
    def untold(self) -> frozenset[str]:
        """The keys of those that no target could be told yet."""
        return frozenset(self._untold)

    async def update(self, conditions: Iterable[Condition], now: float) -> None:
        """Takes all that is wrong at this moment (Unix time). Returns at once."""
        for change in self._alerting.update(conditions, now):
            concerned = [
                sender for sender in self._senders.values() if concerns(change, sender.target.least)
            ]
            if change.kind == "new":
                self._untold.add(change.condition.key)
            for sender in concerned:
                sender.take(change)
            if not concerned:
                self._told([change])

    async def close(self) -> None:
        """Tries once more to send what waits, for a few seconds, and ends."""
        senders = list(self._senders.values())
        await asyncio.gather(*(sender.close() for sender in senders))

    def _told(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if not change.recorded:
                change.recorded = True
                self._untold.discard(change.condition.key)
                self._record(change.happening)

    def _trouble(self, text: str, at: float) -> None:
        self._record(Happening(at, "trouble", "", text))


class _Sender:
    """What waits for one target, and the task that sends it: all that waits as one message."""

    def __init__(
        self,
        target: Notifier,
        stack: str,
        told: Callable[[list[Change]], None],
        trouble: Callable[[str, float], None],
        first_pause_s: float,
    ) -> None:
        self.target = target
        self._stack = stack
        self._told = told
        self._trouble = trouble
        self._first_pause_s = first_pause_s
        self._waiting: deque[Change] = deque()
        self._dropped = 0
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, change: Change) -> None:
        """Takes a line for the next message."""
        self._waiting.append(change)
        if len(self._waiting) > _WAITING:
            self._waiting.popleft()
            self._dropped += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Gives up, with all that waits."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Tries once more, and ends."""
        if self._task is None:
            return
        self._hurry.set()
        await asyncio.wait([self._task], timeout=_LAST_TRY_S)
        self._task.cancel()

    async def _run(self) -> None:
        pause = self._first_pause_s
        failed = False
        while self._waiting:
            changes, dropped = list(self._waiting), self._dropped
            last = self._hurry.is_set()
            try:
                await self.target.send(message(self._stack, changes, dropped))
            except PhoenixError as error:
                if not failed:
                    self._trouble(error.message, changes[-1].at)
                failed = True
                if last:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._hurry.wait()
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            sent = {id(change) for change in changes}
            self._waiting = deque(one for one in self._waiting if id(one) not in sent)
            self._dropped -= dropped
            self._told(changes)
            pause, failed = self._first_pause_s, False
