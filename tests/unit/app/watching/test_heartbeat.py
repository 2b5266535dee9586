"""The heartbeat: sent while all is well, its failure told once, its URL never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from phoenix_hypervisor.app.watching.heartbeat import beat
from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.model.secret import Secret


class Place:
    """A server that takes heartbeats, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.beats = 0
        self.beaten = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.beats += 1
        self.beaten.set()
        return web.Response(status=self.status)

    async def next(self) -> None:
        self.beaten.clear()
        async with asyncio.timeout(10):
            await self.beaten.wait()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    found, application = Place(), web.Application()
    application.router.add_get("/beat-7f3a", found.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/beat-7f3a"
    yield found
    await runner.cleanup()


@asynccontextmanager
async def beating(url: Secret, told: list[str], *, well: bool = True) -> AsyncIterator[None]:
    def lookup(name: str) -> str:
        raise SecretMissing(f"the secret {name} has no value")

    task = asyncio.create_task(beat(url, 0.05, lookup, lambda: well, told.append))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_it_is_sent_again_and_again(place: Place) -> None:
    told: list[str] = []
    async with beating(Secret(literal=place.url), told):
        for _ in range(3):
            await place.next()
    assert told == []


async def test_a_refusal_is_told_once_and_its_end_as_well(place: Place) -> None:
    told: list[str] = []
    place.status = 500
    async with beating(Secret(literal=place.url), told):
        for _ in range(3):
            await place.next()
        place.status = 200
        for _ in range(3):
            await place.next()
    assert told == ["the heartbeat is not taken: status 500", "the heartbeat is taken again"]


async def test_a_watcher_that_is_not_well_is_silent(place: Place) -> None:
    async with beating(Secret(literal=place.url), [], well=False):
        await asyncio.sleep(0.3)
    assert place.beats == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (Secret(literal="http://127.0.0.1:1/hidden-4b"), "no connection: "),
        (Secret(literal="hidden-4b"), "it is no URL"),
        (Secret(literal="http://hidden-4b..test/"), "an unexpected UnicodeError"),
        (Secret(literal=f"http://hidden-4b{'a' * 70}.test/"), "an unexpected UnicodeError"),
        (Secret(name="HEARTBEAT"), "the secret HEARTBEAT has no value"),
    ],
)
async def test_what_is_wrong_with_it_is_told_without_the_url(url: Secret, why: str) -> None:
    told: list[str] = []
    async with beating(url, told):
        async with asyncio.timeout(10):
            while not told:  # noqa: ASYNC110 - the list is all that tells of it
                await asyncio.sleep(0.02)
    assert told[0].startswith(f"the heartbeat is not taken: {why}")
    assert "hidden" not in told[0]
