"""The smallest ASGI application: it greets, and says that it is healthy."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_ANSWERS = {"/": os.environ["SHOP_GREETING"], "/health": "ok"}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """One request of an ASGI server."""
    if scope["type"] == "lifespan":
        await _alive(receive, send)
        return
    text = _ANSWERS.get(scope["path"])
    status = 404 if text is None else 200
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (text or "not found").encode()})


async def _alive(receive: Receive, send: Send) -> None:
    for said in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{said}.complete"})
