"""Serves the metrics of a watcher to Prometheus, at one address and nothing else there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

from phoenix_hypervisor.app.metrics import Exposition
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

Answer = Callable[[str], Callable[[], Exposition] | None]
"""Takes the header `Accept`, and gives what blocks for the time of some queries, which is called in
a thread. None: nothing is open yet.
"""
_HIGHEST = 65535


def place(text: str) -> tuple[str, int]:
    """`127.0.0.1:9470` or `[::1]:9470`, taken apart. Raises `UsageError`."""
    address, _, port = text.rpartition(":")
    try:
        found = ip_address(address.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        number, found = 0, None
    if found is None or not 0 < number <= _HIGHEST:
        raise UsageError(
            f"--metrics {text} is not an IP address with a port",
            hint="such as 127.0.0.1:9470; who can reach it sees the guests' names and health",
        )
    return str(found), number


@asynccontextmanager
async def served(at: tuple[str, int] | None, answer: Answer) -> AsyncIterator[None]:
    """Serves `/metrics` within; nothing without an address. Raises `PhoenixError`."""
    if at is None:
        yield
        return
    from aiohttp import web

    async def metrics(request: web.Request) -> web.Response:
        reads = answer(request.headers.get("Accept", ""))
        if reads is None:
            return web.Response(status=503, text="not watching yet\n")
        found = await asyncio.to_thread(reads)
        return web.Response(body=found.body, headers={"Content-Type": found.content_type})

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, *at).start()
        except OSError as error:
            where = f"{at[0]} port {at[1]}"
            raise PhoenixError(f"metrics can't be served at {where}: {error.strerror}") from error
        yield
    finally:
        await runner.cleanup()
