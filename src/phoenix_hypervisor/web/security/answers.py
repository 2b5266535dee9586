"""What the guard says itself, and the headers that it adds to every answer."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable

from starlette.types import Message, Receive, Scope, Send

STATIC = ("/_nicegui/", "/assets/")
"""Files, the same for everybody."""

NONCE = "phoenix_nonce"
"""Where an ASGI scope holds what the scripts of its page bear."""
_BODY_S = 30.0
"""How long a body may take to come."""

Headers = list[tuple[bytes, bytes]]


def policy(nonce: str) -> str:
    """The Content-Security-Policy of a page.

    NiceGUI evaluates what it is told over its own websocket, and Quasar sets inline styles: hence
    `unsafe-eval` and the styles. No script runs that is not a file of ours or bears the nonce.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # With `no-referrer` browsers would tell `Origin: null` where our own forms are sent (Fetch,
    # 3.2), which is refused.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


def secured(scope: Scope, send: Send, *, hsts: bool) -> Send:
    """Adds the headers, and puts the nonce that the policy asks for into the scope."""
    nonce = scope[NONCE] = secrets.token_urlsafe(18)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = _headers(scope, message["headers"], nonce, hsts=hsts)
            message = {**message, "headers": headers}
        await send(message)

    return sending


def _headers(
    scope: Scope, given: Iterable[tuple[bytes, bytes]], nonce: str, *, hsts: bool
) -> Headers:
    found: Headers = [(name.lower(), value) for name, value in given]
    names = {name for name, _ in found}
    found += _ALWAYS
    found.append((b"content-security-policy", policy(nonce).encode()))
    if hsts:
        found.append(_HSTS)
    if not scope["path"].startswith(STATIC):
        found = [pair for pair in found if pair[0] != b"cache-control"]
        found.append((b"cache-control", b"no-store"))
    elif b"cache-control" not in names:
        found.append((b"cache-control", b"private, max-age=3600"))
    return found


def nonces() -> None:
    """Has the page's own scripts bear the nonce, in NiceGUI's template, so that no others do."""
    from jinja2 import DictLoader
    from nicegui.client import templates

    name, env = "index.html", templates.env
    assert env.loader is not None  # noqa: S101 - NiceGUI's own
    page, _, _ = env.loader.get_source(env, name)
    if NONCE not in page:
        bearing = f'<script nonce="{{{{ request.scope["{NONCE}"] }}}}"'
        env.loader = DictLoader({name: page.replace("<script", bearing)})


async def refuse(
    send: Send, status: int, why: str, *, hint: str = "", headers: Iterable[tuple[str, str]] = ()
) -> None:
    """An answer in the shape of all errors of the API."""
    body = json.dumps({"error": why, "hint": hint}).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    told = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


async def go_to(send: Send, place: str) -> None:
    """Sends a browser elsewhere."""
    told = [(b"location", place.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": told})
    await send({"type": "http.response.body", "body": b""})


class TooLarge(Exception):
    """A body is larger than it may be."""


class TooSlow(Exception):
    """A body does not come."""


class Ended(Exception):
    """Who is being answered is no longer let in."""


class Hearing:
    """What a client sends, and whether it has left."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False

    async def __call__(self) -> Message:
        """The next message."""
        message = await self._receive()
        self._left |= message["type"] == "http.disconnect"
        return message

    def explains(self, error: RuntimeError) -> bool:
        """Whether it only says that the client left before its answer was begun.

        Source: Starlette, `BaseHTTPMiddleware.__call__`.
        """
        return self._left and str(error) == "No response returned."


def limited(receive: Receive, most: int) -> Receive:
    """Raises `TooLarge` when a body has more than `most` bytes, `TooSlow` when it takes long."""
    came, whole = 0, False
    until = asyncio.get_running_loop().time() + _BODY_S

    async def receiving() -> Message:
        nonlocal came, whole
        if whole:  # what comes now is only the end of the connection
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        if message["type"] == "http.request":
            came += len(message.get("body", b""))
            whole = not message.get("more_body")
            if came > most:
                raise TooLarge
        return message

    return receiving


def while_let_in(send: Send, let_in: Callable[[], bool]) -> Send:
    """Raises `Ended` where more of an answer would be sent to one who is no longer let in."""
    begun = False

    async def sending(message: Message) -> None:
        nonlocal begun
        if message["type"] == "http.response.body":
            if begun and not let_in():
                await send({"type": "http.response.body", "body": b""})
                raise Ended
            begun = True
        await send(message)

    return sending
