"""A service that keeps nothing: each request may be answered by any replica of it."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

VERSION = "1"


async def app(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Says hello, by which version, and from which replica: an ASGI application."""
    if scope["type"] != "http":
        return
    body = f"hello from version {VERSION} in {socket.gethostname()}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
