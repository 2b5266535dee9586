"""Metrics are served at one address, and nothing else is there."""

import socket
import threading
from collections.abc import Callable

import aiohttp
import pytest

from phoenix_hypervisor.app.metrics import Exposition
from phoenix_hypervisor.app.watching.scraped import place, served
from phoenix_hypervisor.model.errors import PhoenixError, UsageError


def free() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return "127.0.0.1", int(found.getsockname()[1])


async def get(at: tuple[str, int], path: str, accept: str = "") -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{at[0]}:{at[1]}{path}", headers={"Accept": accept}) as reply,
    ):
        return reply.status, reply.headers.get("Content-Type", ""), await reply.text()


async def test_it_answers_as_it_is_asked() -> None:
    at = free()
    main, where = threading.current_thread(), []

    def answer(accept: str) -> Callable[[], Exposition]:
        where.append(threading.current_thread())

        def reads() -> Exposition:
            where.append(threading.current_thread())
            return Exposition("text/plain; version=1.0.0", accept.encode())

        return reads

    async with served(at, answer):
        assert await get(at, "/metrics", "a/b") == (200, "text/plain; version=1.0.0", "a/b")
        assert (await get(at, "/"))[0] == 404
    assert where[0] is main  # what is known of guests changes there
    assert where[1] is not main
    async with served(at, lambda accept: None):
        assert (await get(at, "/metrics"))[0] == 503
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(at, "/metrics")


async def test_an_address_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = ("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(PhoenixError, match=r"metrics can't be served at 127\.0\.0\.1 port"):
            async with served(at, lambda accept: None):
                pass


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:9470", ("127.0.0.1", 9470)), ("[::1]:80", ("::1", 80))],
)
def test_a_place_is_an_address_with_a_port(text: str, found: tuple[str, int]) -> None:
    assert place(text) == found


@pytest.mark.parametrize("text", ["9470", "localhost:9470", "127.0.0.1:0", "127.0.0.1:70000", ":1"])
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an IP address with a port"):
        place(text)
