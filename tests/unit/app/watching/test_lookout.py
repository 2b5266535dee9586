"""Looking and listening survive what nobody expected, and leave no stream open behind them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.unit.app.watching.wards import A, ward

from phoenix_hypervisor.app.watching.lookout import Lookout
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.watching import GuestChanged


class Telling(SimDriver):
    """Tells one event in each stream."""

    streams: ClassVar[list[str]] = []

    async def changes(self) -> AsyncIterator[GuestChanged | None]:
        self.streams.append("open")
        try:
            yield None
            yield GuestChanged(A, "stopped", 0.0, None)
            await asyncio.Event().wait()
        finally:
            self.streams.append("closed")


@dataclass
class Hears:
    """Breaks as often as it is told to."""

    bugs_looking: int = 0
    bugs_hearing: int = 0
    looks: int = 0
    heard: int = 0
    troubles: list[str] = field(default_factory=list)
    lost_for: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def looked(self, observed: Observed, began: float) -> None:
        if self.bugs_looking:
            self.bugs_looking -= 1
            raise KeyError("a bug")
        self.looks += 1
        self.news.set()

    async def changed(self, change: GuestChanged) -> None:
        if self.bugs_hearing:
            self.bugs_hearing -= 1
            raise KeyError("a bug")
        self.heard += 1
        self.news.set()

    def lost(self, why: str) -> None:
        self.lost_for.append(why)

    def troubled(self, text: str) -> None:
        self.troubles.append(text)

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not what():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def looking(folder: Path, hears: Hears) -> AsyncIterator[None]:
    Telling.streams = []
    found = await ward(folder, kind=Telling)
    task = asyncio.create_task(Lookout(found.session, hears).run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_bug_in_who_is_told_of_looks_ends_nothing(tmp_path: Path) -> None:
    hears = Hears(bugs_looking=2)
    async with looking(tmp_path, hears):
        await hears.until(lambda: hears.looks)
    assert len(hears.troubles) == 1
    assert "unexpected KeyError" in hears.troubles[0]
    assert len(hears.lost_for) == 1


async def test_a_bug_in_who_is_told_of_events_leaves_no_stream_open(tmp_path: Path) -> None:
    hears = Hears(bugs_hearing=1)
    async with looking(tmp_path, hears):
        await hears.until(lambda: hears.heard)
        assert Telling.streams == ["open", "closed", "open"]
    assert Telling.streams == ["open", "closed"] * 2
    assert len(hears.troubles) == 1
