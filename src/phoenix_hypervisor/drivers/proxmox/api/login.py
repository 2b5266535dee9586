"""Who asks: an API token, or a user with a ticket that is renewed.

Source: PVE::API2::AccessControl (create_ticket), PVE::HTTPServer (auth_handler), PVE::Ticket. A
ticket is valid for two hours and is itself accepted as the password for a new one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from phoenix_hypervisor.model.errors import Denied

Post = Callable[[str, Mapping[str, str]], Awaitable[Any]]
"""Sends a request without a login and returns its data: path, parameters."""

_TICKET = "/access/ticket"
_RENEW_AFTER_S = 3600.0
_COOKIE_SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"


class Login(Protocol):
    """How requests say who asks."""

    @property
    def user(self) -> str:
        """`root@pam`, or `phoenix@pve!laptop` for a token."""

    @property
    def is_root(self) -> bool:
        """Whether it passes Proxmox VE's comparisons with root@pam, as no token does."""

    async def headers(self, post: Post, *, write: bool) -> Mapping[str, str]:
        """The headers of one request; logs in or renews the login where it is time."""

    async def again(self, post: Post, refused: Mapping[str, str]) -> bool:
        """Called when a request with these headers got a 401: whether a new try makes sense."""

    def secrets(self) -> tuple[str, ...]:
        """The values that must not be shown."""


class Token:
    """An API token: nothing to renew, and no CSRF token for writes."""

    is_root = False

    def __init__(self, token_id: str, secret: Callable[[], str]) -> None:
        """`token_id` as `user@realm!name`; `secret` gives the value when it is first needed."""
        if "@" not in token_id or "!" not in token_id:
            raise Denied(
                f"{token_id!r} is not the id of an API token",
                hint="write it as USER@REALM!NAME, such as phoenix@pve!laptop",
            )
        self.user = token_id
        self._reveal = secret
        self._secret: str | None = None

    async def headers(self, post: Post, *, write: bool) -> Mapping[str, str]:
        """The one header that a token needs."""
        if self._secret is None:
            self._secret = self._reveal()
        return {"Authorization": f"PVEAPIToken={self.user}={self._secret}"}

    async def again(self, post: Post, refused: Mapping[str, str]) -> bool:
        """A token that is refused stays refused."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """The token's value, once it was needed."""
        return (self._secret,) if self._secret else ()


class Ticket:
    """A user's login by password."""

    def __init__(
        self,
        user: str,
        password: Callable[[], str],
        *,
        renew_after_s: float = _RENEW_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`user` as `root@pam`; `password` gives the value when it is first needed."""
        self.user = user if "@" in user else f"{user}@pam"
        self._reveal = password
        self._renew_after_s = renew_after_s
        self._clock = clock
        self._password = ""
        self._ticket = ""
        self._csrf = ""
        self._since = 0.0
        self._turn = asyncio.Lock()

    @property
    def is_root(self) -> bool:
        """Whether the user is root@pam itself."""
        return self.user == "root@pam"

    async def headers(self, post: Post, *, write: bool) -> Mapping[str, str]:
        """The cookie, and for writes the CSRF token."""
        if self._is_old():
            async with self._turn:
                if self._is_old():
                    await self._log_in(post)
        cookie = {"Cookie": f"PVEAuthCookie={quote(self._ticket, safe=_COOKIE_SAFE)}"}
        return {**cookie, "CSRFPreventionToken": self._csrf} if write else cookie

    async def again(self, post: Post, refused: Mapping[str, str]) -> bool:
        """Logs in anew unless another request did so meanwhile."""
        async with self._turn:
            if refused.get("Cookie") == f"PVEAuthCookie={quote(self._ticket, safe=_COOKIE_SAFE)}":
                self._ticket = ""  # it is no password either
                await self._log_in(post)
        return True

    def secrets(self) -> tuple[str, ...]:
        """The password, ticket and CSRF token."""
        return tuple(one for one in (self._password, self._ticket, self._csrf) if one)

    def _is_old(self) -> bool:
        return not self._ticket or self._clock() - self._since >= self._renew_after_s

    async def _log_in(self, post: Post) -> None:
        if self._ticket:
            try:
                self._take(await post(_TICKET, {"username": self.user, "password": self._ticket}))
            except Denied:
                self._ticket = ""  # expired, or a server that wants the password itself
            else:
                return
        if not self._password:
            self._password = self._reveal()
        self._take(await post(_TICKET, {"username": self.user, "password": self._password}))

    def _take(self, answer: Mapping[str, Any]) -> None:
        if answer.get("NeedTFA"):
            raise Denied(
                f"{self.user} logs in with a second factor, which Phoenix can't give",
                missing="an API token",
                hint=f"make a token: `pveum user token add {self.user} phoenix`",
            )
        self._ticket = str(answer["ticket"])
        self._csrf = str(answer["CSRFPreventionToken"])
        self._since = self._clock()
