"""What the dashboard works at: one folder on one target, opened as the commands open it."""

import asyncio
import math
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from phoenix_hypervisor import app, observe
from phoenix_hypervisor.app import Declared, Session
from phoenix_hypervisor.app.watching import files, only_one
from phoenix_hypervisor.app.watching.applies import Applies, Away
from phoenix_hypervisor.app.watching.questions import questions
from phoenix_hypervisor.config.secrets import KEY_VARIABLES, Secrets
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import ConfigError, DataUnreadable
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.watch.maintenance import Calendar
from phoenix_hypervisor.watch.store import Reader
from phoenix_hypervisor.web import look as looking
from phoenix_hypervisor.web.asking import Asking
from phoenix_hypervisor.web.logs import Logs
from phoenix_hypervisor.web.look import Look

LOOK_S = 5.0
"""How old a look at the target may be, in seconds: many pages cost no more than one."""
_BUSY_S = 1.0
"""The same while a run changes guests."""
_WRONG_S = 20.0
"""How long files with errors are not read anew, if none of them is written."""
_T = TypeVar("_T")


class Seen:
    """The target as it was seen, and which guests a run was changing then (`away`)."""

    def __init__(self, session: Session, observed: Observed, away: Away) -> None:
        self.desired, self.observed, self.away = session.desired, observed, away
        self.real, self.driver = session.driver.has_inside, session.driver.name
        self.at = time.monotonic()


class Desk:
    """Opens the folder for each work; looks are shared for some seconds, and ask no check that
    `phoenix watch` asks.
    """

    def __init__(self, folder: Path, on: str | None, redactor: Redactor) -> None:
        self.folder = folder
        self.logs = Logs(self)
        self.asking = Asking(lambda: self.session(kept=True))
        self._on = on
        self._redactor = redactor
        self._environ = dict(os.environ)
        self._reading, self._looking = asyncio.Lock(), asyncio.Lock()
        self._declared: tuple[files.Look, Declared | ConfigError] | None = None
        self._doubtful = math.inf
        self._seen: Seen | None = None
        self._forgotten = 0
        self._applies = Applies(folder)

    @property
    def hide(self) -> Redactor:
        """Takes secrets out of a text."""
        return self._redactor

    @asynccontextmanager
    async def session(self, *, kept: bool = False) -> AsyncIterator[Session]:
        """The folder on its target, for one piece of work. Raises `PhoenixError`.

        `kept`: as the files were read last, if none was written since.
        """
        known = await (self._kept() if kept else self._read())
        async with app.session(
            self.folder,
            self._on,
            self._environ,
            redactor=self._redactor,
            loaded=self._forget,
            known=known,
        ) as opened:
            yield opened

    async def desired(self) -> Desired:
        """What the files want; read again only when one was written. Raises `ConfigError`."""
        return (await self._kept()).desired

    async def look(self) -> Look:
        """How everything is: seen at most `LOOK_S` ago, with the answers of checks of now.

        Answers are those of `phoenix watch`; where nobody watches, checks are asked from here.
        Raises `PhoenixError`.
        """
        async with self._looking:
            seen = await self._seen_now()
        desired = seen.desired
        asked = questions(desired, desired.watch.interval_s)
        now = time.time()
        watched = await self.read(lambda reader: looking.measured(reader, asked, now))
        calendar = Calendar(desired.watch.maintenance)
        away = {one: why for one in desired.guests if (why := calendar.planned(now, one))}
        if seen.real and not watched.watched:
            there = looking.running(looking.healths(desired, seen.observed, {}))
            await self.asking.ask(one for one in asked.values() if one.guest in there)
        answers = looking.newer(watched.answers, self.asking.answers(asked))
        failed = {key for key, one in watched.answers.items() if one.health == "down"}
        return Look(
            desired=desired,
            guests=looking.healths(desired, seen.observed, answers),
            answers=answers,
            doubted=frozenset(
                key
                for key in failed
                if key[0] in watched.doubted and answers[key] is watched.answers[key]
            ),
            planned={**away, **seen.away.why},
            watched=watched.watched or only_one.holder(self.folder) is not None,
            driver=seen.driver,
            real=seen.real,
            changing=seen.away.stops,
        )

    def forget(self) -> None:
        """The next look is a new one: something was changed."""
        self._seen = None
        self._forgotten += 1

    async def seen(self) -> Seen:
        """The target, seen at most `LOOK_S` ago. Raises `PhoenixError`."""
        async with self._looking:
            return await self._seen_now()

    async def _seen_now(self) -> Seen:
        await self._kept()  # files that were written make another look
        seen, away = self._seen, await asyncio.to_thread(self._applies.look)
        old_s = _BUSY_S if away.why else LOOK_S
        if seen is not None and seen.away == away and time.monotonic() - seen.at <= old_s:
            return seen
        forgotten = self._forgotten
        async with self.session(kept=True) as session:
            observed = await observe.observe(session.desired, session.driver)
            seen = Seen(session, observed, away)
            for address in session.desired.guests:
                session.hiding(address)  # also what stands in the files
        # What was changed while it was looked at needs another look.
        self._seen = seen if forgotten == self._forgotten else None
        return seen

    async def read(self, reading: Callable[[Reader | None], _T]) -> _T:
        """Reads what `phoenix watch` measured, in a thread; None is given where it never ran.

        Raises `DataUnreadable`.
        """

        def done() -> _T:
            with self.measured() as reader:
                return reading(reader)

        return await asyncio.to_thread(done)

    @contextmanager
    def measured(self) -> Iterator[Reader | None]:
        """What `phoenix watch` measured; None where it never ran. Raises `DataUnreadable`."""
        reader = Reader.open(self.folder)
        try:
            yield reader
        except sqlite3.Error as error:
            raise DataUnreadable(f"the measurements can't be read: {error}") from error
        finally:
            if reader is not None:
                reader.close()

    async def _kept(self) -> Declared:
        async with self._reading:
            known, now = self._declared, await asyncio.to_thread(files.look, self.folder)
            if known is None or known[0] != now or time.monotonic() > self._doubtful:
                self._seen = None
                try:
                    found: Declared | ConfigError = await self._read()
                except ConfigError as error:  # as true of these files as what they declare
                    found = error
                # An error may be about other files than these, such as a source that is missing.
                is_wrong = isinstance(found, ConfigError)
                self._doubtful = time.monotonic() + _WRONG_S if is_wrong else math.inf
                known = self._declared = (now, found)
            if isinstance(known[1], ConfigError):
                raise known[1].with_traceback(None)
            return known[1]

    async def _read(self) -> Declared:
        return await asyncio.to_thread(app.declared, self.folder, self._on, self._environ)

    def _forget(self, secrets: Secrets) -> None:
        """No process that is started here needs the secrets in its environment."""
        for name in {*secrets.from_environment, *KEY_VARIABLES}:
            os.environ.pop(name, None)
