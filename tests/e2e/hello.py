"""The service of examples/replicas, with a path that is slow and a service that has no patience."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

VERSION = "1"


async def app(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Says hello; at /slow/3/… after 3 seconds. What it was asked so stands in the journal."""
    if scope["type"] != "http":
        return
    # The server would let requests under way finish: here only the proxy's patience counts.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if scope["path"].startswith("/slow/"):
        sys.stdout.write(f"asked for {scope['path']}\n")
        sys.stdout.flush()
        await asyncio.sleep(int(scope["path"].split("/")[2]))
    body = f"hello from version {VERSION} in {socket.gethostname()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
