"""Writes what was measured, a second's worth at a time, in a thread of its own.

Where the file can't be written (a full disk, a locked file) watching goes on: what comes is kept in
memory, up to a limit, and written once that works again.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch import database
from phoenix_hypervisor.watch.store import Key, Store
from phoenix_hypervisor.watch.time_line import Stretch

_WAITING = 200_000
"""Answers that wait to be written, at most: some minutes of thousands of checks."""
_AGAIN_S = 5.0
_THIN_S = 60.0


@dataclass(slots=True)
class _Batch:
    answers: list[Answer] = field(default_factory=list)
    stretches: list[tuple[Key, Stretch]] = field(default_factory=list)
    happened: list[Happening] = field(default_factory=list)


class Keeper:
    """The writing end of a folder's measurements."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        """`tell` is told once when the file can't be written, and once when it can be again."""
        self._folder = folder
        self._tell = tell
        self._answers: deque[Answer] = deque(maxlen=_WAITING)
        self._stretches: dict[Key, list[Stretch]] = {}
        self._happened: deque[Happening] = deque(maxlen=_WAITING)
        self._keep: list[Key] | None = None
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="measurements")
        self._trouble = ""
        self._bugs: set[str] = set()
        self._next = 0.0
        self._thinned = time.monotonic()

    @property
    def trouble(self) -> str:
        """Why nothing can be written now; empty where it can."""
        return self._trouble

    def answer(self, answer: Answer) -> None:
        """Takes what a check said."""
        self._answers.append(answer)

    def stretches(self, key: Key, found: Iterable[Stretch]) -> None:
        """Takes time that is known of a series. Such that follow each other are put together."""
        kept = self._stretches.setdefault(key, [])
        for each in found:
            last = kept[-1] if kept else None
            if last and last.end == each.start and last.state == each.state:
                kept[-1] = Stretch(last.start, each.end, each.state)
            else:
                kept.append(each)

    def happened(self, happening: Happening) -> None:
        """Takes what happened."""
        self._happened.append(happening)

    def watches(self, keys: Iterable[Key]) -> None:
        """These checks are watched now: what others said last is no longer shown."""
        self._keep = list(keys)

    async def write(self) -> None:
        """Writes what came; where that failed lately it waits a little for the next try."""
        if time.monotonic() < self._next:
            return
        batch = self._take()
        if self._keep is None and not (batch.answers or batch.stretches or batch.happened):
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._write, batch)
        except (sqlite3.Error, DataUnreadable, OSError) as error:
            self._put_back(batch)
            self._next = time.monotonic() + _AGAIN_S
            said = error.message if isinstance(error, DataUnreadable) else str(error)
            if not self._trouble:
                self._tell(f"measurements can't be written, and are kept in memory: {said}")
            self._trouble = said
        except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
            kind = type(error).__name__
            if kind not in self._bugs:
                self._bugs.add(kind)
                self._tell(
                    f"some measurements are lost, by an unexpected {kind}, which is a bug; "
                    f"please report it: {error}"
                )
        else:
            if self._trouble:
                self._trouble = ""
                self._tell("measurements are written again")

    async def close(self) -> None:
        """Writes the rest, if it can be, and closes the file."""
        self._next = 0.0
        await self.write()
        loop = asyncio.get_running_loop()
        if self._store is not None:
            await loop.run_in_executor(self._thread, self._store.close)
        self._thread.shutdown()

    def _take(self) -> _Batch:
        stretches = [(key, each) for key, kept in self._stretches.items() for each in kept]
        batch = _Batch(list(self._answers), stretches, list(self._happened))
        self._answers.clear()
        self._stretches.clear()
        self._happened.clear()
        return batch

    def _put_back(self, batch: _Batch) -> None:
        """In front of what has come meanwhile; the oldest go where there are too many."""
        answers = [*batch.answers, *self._answers]
        self._answers.clear()
        self._answers.extend(answers)
        happened = [*batch.happened, *self._happened]
        self._happened.clear()
        self._happened.extend(happened)
        later, self._stretches = self._stretches, {}
        for key, each in batch.stretches:
            self.stretches(key, [each])
        for key, kept in later.items():
            self.stretches(key, kept)

    def _write(self, batch: _Batch) -> None:
        if self._store is not None and self._file != database.identity(self._folder):
            self._store.close()  # it was moved away, to begin anew
            self._store = None
        if self._store is None:
            self._store = Store.create(self._folder)
            self._file = database.identity(self._folder)
        if self._keep is not None:
            self._store.forget(self._keep)
            self._keep = None
        self._store.write(batch.answers, batch.stretches, batch.happened)
        if time.monotonic() >= self._thinned + _THIN_S:
            self._thinned = time.monotonic()
            self._store.thin(time.time())
