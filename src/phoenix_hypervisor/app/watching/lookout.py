"""Keeps what the hypervisor says of the guests fresh: by its events, and by looking."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

from phoenix_hypervisor import observe
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.driver import TellsChanges
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.watching import GuestChanged

_WITH_EVENTS_S = 10.0
_WITHOUT_S = 3.0
_SHARE = 5
"""Without events the pauses are at least so many times as long as a look takes."""
_SOONEST_S = 0.2
"""Between two looks, however much asks for one."""
_LIMIT_S = 30.0
_AGAIN_S = 1.0


class Hears(Protocol):
    """Who is told what is seen. Moments are of the event loop's clock."""

    async def looked(self, observed: Observed, began: float) -> None:
        """A look at all guests, and the moment when it began."""

    async def changed(self, change: GuestChanged) -> None:
        """An event of the hypervisor's."""

    def lost(self, why: str) -> None:
        """The hypervisor could not be asked, twice in a row."""

    def troubled(self, text: str) -> None:
        """Looking is hindered by something that nobody expected; told once of a kind."""


class Lookout:
    """Looks at one session's target."""

    def __init__(self, session: Session, hears: Hears) -> None:
        self._session = session
        self._hears = hears
        self._wanted = asyncio.Event()
        self._looked = asyncio.Condition()
        self._begun = self._ended = 0
        self._failed = 0
        self._bugs: set[str] = set()
        self.listens = False
        """Whether events come, so that a change is known without a look."""

    def look_soon(self) -> None:
        """Asks for a look, as when a guest seems to be down."""
        self._wanted.set()

    async def look_now(self) -> bool:
        """Whether a look that begins from now on succeeds."""
        awaited = self._begun + 1
        self.look_soon()
        async with self._looked:
            await self._looked.wait_for(lambda: self._ended >= awaited)
        return not self._failed

    async def run(self) -> None:
        """Looks and listens until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            if isinstance(self._session.driver, TellsChanges):
                group.create_task(self._listen(self._session.driver))

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wanted.clear()
            self._begun += 1
            began = loop.time()
            await self._look_once()
            took_s = loop.time() - began
            async with self._looked:
                self._ended = self._begun
                self._looked.notify_all()
            await asyncio.sleep(_SOONEST_S)
            quick = min(max(_WITHOUT_S, _SHARE * took_s), _WITH_EVENTS_S)
            pause = _WITH_EVENTS_S if self.listens else quick
            # Not `wait_for`, which in Python 3.11 may take a cancellation for a mere end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S if self._failed else pause):
                    await self._wanted.wait()

    async def _look_once(self) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_LIMIT_S):
                observed = await observe.observe(self._session.desired, self._session.driver)
            await self._hears.looked(observed, began)
        except PhoenixError as error:
            why = self._session.secrets.redactor(error.message)
        except TimeoutError:
            why = f"the hypervisor did not answer within {_LIMIT_S:.0f} s"
        except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
            why = self._bug(error)
        else:
            self._failed = 0
            return
        self._failed += 1
        if self._failed > 1:
            self._hears.lost(why)

    async def _listen(self, driver: TellsChanges) -> None:
        while True:
            changes = driver.changes()
            try:
                async for change in changes:
                    if change is None:
                        self.listens = True
                    else:
                        await self._hears.changed(change)
                    self.look_soon()
            except PhoenixError:
                pass  # what happens meanwhile is seen by looking, as is that the target is lost
            except Exception as error:  # noqa: BLE001 - a bug here must not end the watching
                self._bug(error)
            finally:
                if isinstance(changes, AsyncGenerator):
                    await changes.aclose()
            self.listens = False
            self.look_soon()
            await asyncio.sleep(_AGAIN_S)

    def _bug(self, error: Exception) -> str:
        kind = type(error).__name__
        if kind not in self._bugs:
            self._bugs.add(kind)
            text = f"an unexpected {kind}, which is a bug; please report it: {error}"
            self._hears.troubled(self._session.secrets.redactor(text))
        return f"looking at it broke, by an unexpected {kind}"
