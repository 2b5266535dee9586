"""Stands before everything: nothing is answered, and no websocket opened, to one who is not let in.

It is an ASGI application around the other, so that no page, file or websocket of a library is
forgotten. What is open to everybody is listed here, and is little.
"""

import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.web.security import answers
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import SCOPE, Caller
from phoenix_hypervisor.web.security.keys import Keys
from phoenix_hypervisor.web.security.pages import session_of_page
from phoenix_hypervisor.web.security.sessions import Sessions

_OPEN = {"/login": ("GET", "HEAD", "POST"), "/enter": ("GET",)}
_OPEN_FILES = ("/assets/login.css", "/assets/icon.svg")
_SAFE = ("GET", "HEAD")
_WEBSOCKET = "/_nicegui_ws/"
_SMALL = 64 * 1024
_PLAN = 16 * 1024 * 1024
_LARGE = {"/api/v1/apply": _PLAN}
"""Bytes of a body: a plan of a large stack has some megabytes."""
_BY_TOKEN = ("/api/", "/metrics")
_KEYS = "`phoenix serve --set-password` tells who may run it why"
_CLOSE = (("connection", "close"),)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the guard needs to know. `origins`: those that are the dashboard itself.

    `hsts`: browsers are told to come by TLS only, which holds for all ports of the name.
    """

    origins: frozenset[str]
    cookie: str
    hsts: bool = False


class Guard:
    """The whole dashboard behind a login."""

    def __init__(
        self, app: ASGIApp, rules: Rules, sessions: Sessions, keys: Keys, audit: Audit
    ) -> None:
        self._app = app
        self._rules = rules
        self._sessions = sessions
        self._keys = keys
        self._audit = audit
        self._hosts = frozenset(origin.partition("//")[2] for origin in rules.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, websocket, or the server's own life span."""
        if scope["type"] == "http":
            send = answers.secured(scope, send, hsts=self._rules.hsts)
            hearing = answers.Hearing(receive)
            with suppress(answers.Ended):
                try:
                    await self._http(scope, hearing, send)
                except RuntimeError as error:
                    if not hearing.explains(error):
                        raise
                except answers.TooLarge:
                    await answers.refuse(send, 413, "the body is too large")
                except answers.TooSlow:
                    await answers.refuse(send, 408, "the body did not come", headers=_CLOSE)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        path, method = scope["path"], scope["method"]
        most = _LARGE.get(path, _SMALL)
        if bad := self._malformed(scope, headers, most):
            await answers.refuse(send, *bad)
            return
        receive = answers.limited(receive, most)
        scope = _without(scope, b"x-forwarded-prefix")
        if not path.startswith(answers.STATIC):
            # Secrets of a session and words of others don't go together into one compression
            # (BREACH).
            scope = _without(scope, b"accept-encoding")
        if method in _OPEN.get(path, ()) or (path in _OPEN_FILES and method in _SAFE):
            await self._app(scope, receive, send)
            return
        try:
            found, let_in = self._caller(scope, headers)
        except PhoenixError:  # its words tell paths, to strangers as well
            await answers.refuse(send, 503, "the dashboard's keys can't be read", hint=_KEYS)
            return
        if found is None:
            await _let_in_first(scope, headers, send)
            return
        if why := self._forbidden(method, path, headers, found):
            self._audit.refused(found, "act", f"{method} {path[:200]}: {why}")
            await answers.refuse(send, 403, why)
            return
        await self._app({**scope, SCOPE: found}, receive, answers.while_let_in(send, let_in))

    def _malformed(self, scope: Scope, headers: Headers, most: int) -> tuple[int, str] | None:
        """Why nobody at all may ask this so: a status, and words."""
        path, method = scope["path"], scope["method"]
        if not self._host(headers):
            return 421, "this is not the dashboard's name"
        if not _is_plain(scope):
            return 400, "this is no path"
        if path.startswith(_WEBSOCKET):  # its stand-in over HTTP is not used
            return 404, "only by websocket"
        if method not in _SAFE:
            by_other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
            if by_other or not self._same_origin(headers, must=False):
                return 403, "asked for by another origin"
        told = headers.get("content-length", "0")
        if not (told.isascii() and told.isdigit()) or int(told) > most:
            return 413, f"a body may have {most} bytes here"
        return None

    def _forbidden(self, method: str, path: str, headers: Headers, found: Caller) -> str:
        """Why one who was let in may still not do this; empty: they may."""
        if method in _SAFE:
            return ""
        if path == "/logout":  # its form shows the session's own secret
            return "" if found.session else "a token has no session"
        if not found.may_act:
            return "who may only read can't do this"
        shown = headers.get("x-csrf-token", "")
        if found.session and not hmac.compare_digest(shown.encode(), found.csrf.encode()):
            return "the header X-CSRF-Token is missing or wrong: GET /api/v1/session tells it"
        return ""

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        name = cookie_parser(headers.get("cookie", "")).get(self._rules.cookie, "")
        session = self._sessions.find(name) if name else None
        ours = self._host(headers) and self._same_origin(headers, must=True) and _is_plain(scope)
        ours = ours and scope["path"].startswith(_WEBSOCKET)
        if session is None or not ours or not _is_own_page(scope, session.key):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        async def receiving() -> Message:
            message = await receive()
            # NiceGUI's own signs of life don't make a session last; what a person does, does.
            used = '"event"' in (message.get("text") or "")
            if self._sessions.find(name, use=used) is None:
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "websocket.send" and not self._sessions.find(name, use=False):
                message = {"type": "websocket.close", "code": 1008}
            await send(message)

        scope = _without(scope, b"x-forwarded-prefix")
        await self._app({**scope, SCOPE: session.caller}, receiving, sending)

    def _caller(self, scope: Scope, headers: Headers) -> tuple[Caller | None, Callable[[], bool]]:
        """Who asks, and what says whether they still are let in. Raises `PhoenixError`."""
        remote = (scope.get("client") or ("?",))[0]
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and scope["path"].startswith(_BY_TOKEN):
            token = self._keys.token(given.strip())
            if token is None:
                self._audit.refused(Caller("?", "read", remote), "login", "a token that is none")
                return None, lambda: False
            digest = token.sha256
            found = Caller(f"token {token.name}", token.role, remote)
            return found, lambda: self._keys.holds(digest)
        name = cookie_parser(headers.get("cookie", "")).get(self._rules.cookie, "")
        # A page that asks again by itself does not make a session last.
        use = headers.get("x-phoenix-background") is None
        session = self._sessions.find(name, use=use) if name else None
        if session is None:
            return None, lambda: False
        key = session.key
        return session.caller, lambda: self._sessions.at(key) is not None

    def _host(self, headers: Headers) -> bool:
        return headers.getlist("host") == [headers.get("host", "")] and (
            headers.get("host", "").lower() in self._hosts
        )

    def _same_origin(self, headers: Headers, *, must: bool) -> bool:
        """`must`: an origin has to be told, as browsers always do with websockets."""
        told = headers.get("origin")
        return told.lower() in self._rules.origins if told is not None else not must


def _is_plain(scope: Scope) -> bool:
    """Whether the path means what it says, to every part that reads it."""
    path = scope["path"]
    raw = scope.get("raw_path", b"").partition(b"?")[0].lower()
    hidden = any(sign in raw for sign in (b"%2e", b"%2f", b"%5c", b"%25"))
    return (
        not hidden
        and path.startswith("/")
        and path.isprintable()
        and "\\" not in path
        and "//" not in path
        and not {".", ".."} & {*path.split("/")}
    )


def _is_own_page(scope: Scope, session: str) -> bool:
    """Whether the page that this websocket is for was made for this session."""
    told = parse_qs(scope.get("query_string", b"").decode(errors="replace")).get("client_id", [])
    # Of a page that is gone NiceGUI tells the browser to load it again.
    return len(told) == 1 and session_of_page(told[0]) in (None, session)


def _without(scope: Scope, header: bytes) -> Scope:
    kept = [pair for pair in scope["headers"] if pair[0].lower() != header]
    return {**scope, "headers": kept}


async def _let_in_first(scope: Scope, headers: Headers, send: Send) -> None:
    page = scope["method"] in _SAFE and "text/html" in headers.get("accept", "")
    if page and not scope["path"].startswith(_BY_TOKEN):
        query = scope.get("query_string", b"").decode(errors="replace")
        wanted = scope["path"] + (f"?{query}" if query else "")
        await answers.go_to(send, f"/login?next={quote(wanted, safe='')}")
        return
    await answers.refuse(
        send,
        401,
        "log in first",
        hint="open /login, or send a token: Authorization: Bearer …",
        headers=[("www-authenticate", 'Bearer realm="phoenix"')],
    )
