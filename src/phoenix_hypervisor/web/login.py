"""The way in and out: a form, the link that is printed at the start, and the end of a session."""

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import escape
from math import ceil
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import Caller, Role, caller
from phoenix_hypervisor.web.security.keys import Keys
from phoenix_hypervisor.web.security.sessions import Sessions
from phoenix_hypervisor.web.security.throttle import Browsers, Throttle

_LINK_S = 600.0
_MOST_FIELDS = 10
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in · Phoenix</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/assets/icon.svg"><link rel="stylesheet" href="/assets/login.css"></head>
<body><main><h1>Phoenix</h1>{told}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="secret">Password or token</label>
<input id="secret" name="secret" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button></form>
<p class="hint">{hint}</p></main></body></html>
"""
_WITH_LINK = (
    "No password is set. Open the link that <code>phoenix serve</code> printed; "
    "<code>phoenix serve --set-password</code> sets one."
)
_WITH_PASSWORD = "Who may only read uses a read-only token."  # noqa: S105 - a sentence


@dataclass(slots=True)
class Link:
    """The link that lets in whoever can read the terminal: once, within ten minutes."""

    _code: str = ""
    _until: float = 0.0

    def new(self) -> str:
        """A new code; the one before is void."""
        self._code = secrets.token_urlsafe(32)
        self._until = time.monotonic() + _LINK_S
        return self._code

    def take(self, code: str) -> bool:
        """Whether this is the code, which is void from now on if it is."""
        good = bool(self._code) and time.monotonic() < self._until
        good = hmac.compare_digest(code.encode(), self._code.encode()) and good
        if good:
            self._code = ""
        return good


@dataclass(frozen=True, slots=True)
class _Found:
    """Whose password or token it is; `opened_by` is its hash."""

    who: str
    role: Role
    opened_by: str = ""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where people come in."""

    keys: Keys
    sessions: Sessions
    audit: Audit
    cookie: str
    tls: bool
    link: Link = field(default_factory=Link)
    throttle: Throttle = field(default_factory=Throttle)
    browsers: Browsers = field(default_factory=Browsers)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[Route]:
        """Of the application."""
        return [
            Route("/login", _told(self.form), methods=["GET"]),
            Route("/login", _told(self.login), methods=["POST"]),
            Route("/enter", _told(self.enter), methods=["GET"]),
            Route("/logout", _told(self.logout), methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """The form."""
        return self._form(request.query_params.get("next", "/"))

    async def login(self, request: Request) -> Response:
        """Takes a password or a token; wrong ones have to wait longer and longer."""
        told = await _fields(request)
        given, wanted = (told.get(name, [""])[0] for name in ("secret", "next"))
        if token := self.keys.token(given):  # nobody guesses 256 bits: nobody has to wait for it
            found = _Found(f"token {token.name}", token.role, token.sha256)
            return self._in(request, found, wanted)
        remote = _remote(request)
        browser = self.browsers.find(request.cookies.get(self._known, ""))
        by, known = browser or remote, bool(browser)
        async with self.turn:  # one at a time: each takes 64 MiB, and nobody is let past the wait
            if wait := self.throttle.wait_s(by, known=known):
                self._refused(remote, "too often")
                after = {"Retry-After": str(ceil(wait))}
                why = f"Too many tries. Wait {ceil(wait)} s."
                return self._form(wanted, why, 429, after)
            password = self.keys.kept.password
            if not await asyncio.to_thread(self.keys.is_password, given):
                self.throttle.failed(by, known=known)
                self._refused(remote, "a wrong password or token")
                return self._form(wanted, "That is not right.", 401)
            self.throttle.succeeded(by)
        return self._in(request, _Found("password", "act", password), wanted, remember=not known)

    async def enter(self, request: Request) -> Response:
        """The printed link. It works once."""
        if not self.link.take(request.query_params.get("code", "")):
            self._refused(_remote(request), "a wrong link")
            return self._form("/", "That link is used up or too old.", 401)
        return self._in(request, _Found("link", "act"), "/", remember=True)

    async def logout(self, request: Request) -> Response:
        """Ends the session."""
        told = await _fields(request)
        found = caller(request)
        if not hmac.compare_digest(told.get("csrf", [""])[0].encode(), found.csrf.encode()):
            return Response(status_code=403)
        self.sessions.close(request.cookies.get(self.cookie, ""))
        self.audit.write(found, "logout", "ok")
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            self.cookie, path="/", secure=self.tls, httponly=True, samesite="strict"
        )
        return answer

    @property
    def _known(self) -> str:
        """The cookie of a browser that was let in before."""
        return f"{self.cookie}-known"

    def _in(
        self, request: Request, found: _Found, wanted: str, *, remember: bool = False
    ) -> Response:
        remote = _remote(request)
        self.audit.write(Caller(found.who, found.role, remote), "login", "ok")
        if before := request.cookies.get(self.cookie):
            self.sessions.close(before)
        name = self.sessions.open(found.who, found.role, remote, found.opened_by)
        answer = RedirectResponse(_own(wanted), 303)
        given = {self.cookie: name} | ({self._known: self.browsers.remember()} if remember else {})
        for cookie, value in given.items():
            answer.set_cookie(
                cookie, value, path="/", secure=self.tls, httponly=True, samesite="strict"
            )
        return answer

    def _refused(self, remote: str, why: str) -> None:
        self.audit.refused(Caller("?", "read", remote), "login", why)

    def _form(
        self,
        wanted: str,
        told: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        said = f'<p class="error" role="alert">{escape(told)}</p>' if told else ""
        hint = _WITH_PASSWORD if self.keys.any else _WITH_LINK
        page = _PAGE.format(next=escape(_own(wanted)), told=said, hint=hint)
        return HTMLResponse(page, status, headers)


Endpoint = Callable[[Request], Awaitable[Response]]


def _told(endpoint: Endpoint) -> Endpoint:
    """Strangers are told what is wrong with what they sent, and nothing of the machine."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except _Malformed:
            return PlainTextResponse("That is no form of this page.", 400)
        except PhoenixError:  # its words name files
            return PlainTextResponse(
                "The dashboard's keys or its audit log can't be used: `phoenix serve` tells why.",
                503,
            )

    return answered


class _Malformed(Exception):
    """What was sent is no form."""


async def _fields(request: Request) -> dict[str, list[str]]:
    body = (await request.body()).decode(errors="replace")
    try:
        return parse_qs(body, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise _Malformed from error


def _own(wanted: str) -> str:
    """A path of the dashboard, whatever was asked for."""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    plain = wanted.startswith("/") and wanted.isprintable() and "\\" not in wanted
    if not plain or wanted.startswith("//") or parts.scheme or parts.netloc:
        return "/"
    return wanted if not wanted.startswith(("/api/", "/_nicegui", "/login", "/enter")) else "/"


def _remote(request: Request) -> str:
    return request.client.host if request.client else "?"
