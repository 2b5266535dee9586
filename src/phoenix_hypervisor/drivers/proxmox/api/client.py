"""The API of Proxmox VE over HTTPS: one object for one cluster, used by many steps at once.

Source: PVE::APIServer::AnyEvent and the API viewer. A node has 3 workers in each of its two
daemons by default, so only so many requests are under way per node.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import aiohttp
import tenacity
from yarl import URL

from phoenix_hypervisor.drivers.proxmox.api import tasks
from phoenix_hypervisor.drivers.proxmox.api.answers import Asked, data, unanswered
from phoenix_hypervisor.drivers.proxmox.api.login import Login
from phoenix_hypervisor.drivers.proxmox.api.paths import Param, Params, encoded, node_of, path
from phoenix_hypervisor.drivers.proxmox.api.trust import Trust, colons, distrusted
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Retryable, Unreachable

__all__ = ["Api", "Param", "path"]

_BASE = "/api2/json"
_PORT = 8006
_REQUEST_S = 60.0
_CONNECT_S = 10.0
_TRIES = 6
_UNAUTHORIZED = 401
_SECRET_PARAMS = ("password", "cipassword", "otp", "encryption-key", "master-pubkey")
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Broken(aiohttp.ClientError):
    """A connection that broke while a write was under way."""


class _Reply(NamedTuple):
    """An answer as it came."""

    status: int
    reason: str
    kind: str
    body: bytes


class Api:
    """Requests to one endpoint, which passes on what is for other nodes of its cluster.

    Errors are of `model.errors`. Reads that fail in transport are tried again a few times; a write
    is sent once: whether it may be repeated is for the caller to decide.
    """

    def __init__(
        self,
        endpoint: str,
        login: Login,
        trust: Trust | None = None,
        *,
        at_once: int = 6,
        request_s: float = _REQUEST_S,
        pause_s: float = 0.2,
    ) -> None:
        """`endpoint` as `https://pve1:8006`; `at_once` requests per node, each of at most
        `request_s` seconds; `pause_s`: the first pause before a read is tried again.
        """
        self._url = _endpoint(endpoint)
        self._login = login
        self._trust = trust or Trust()
        self._request_s = request_s
        self._pause_s = pause_s
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(at_once)
        )
        self._reading: aiohttp.ClientSession | None = None
        self._writing: aiohttp.ClientSession | None = None
        self._answered = False
        self._named: str | None = None
        self._addresses: frozenset[str] = frozenset()

    @property
    def user(self) -> str:
        """Who asks: `root@pam`, or `phoenix@pve!laptop` for a token."""
        return self._login.user

    @property
    def is_root(self) -> bool:
        """Whether it is root@pam itself, which alone passes Proxmox VE's checks for it."""
        return self._login.is_root

    @property
    def host(self) -> str:
        """The endpoint's name or address."""
        return self._url.host or ""

    def move(self, old: str, new: str) -> None:
        """From now on asks at `new`, if it asked at the address `old`.

        The certificate must still be that of the endpoint as it was named.
        """
        if old in self._addresses:
            self._named = self._named or self.host
            self._url = self._url.with_host(new)

    async def __aenter__(self) -> Self:
        """Connects and logs in. Raises `Unreachable` or `Denied` with how to mend it."""
        check = self._trust.check()
        # Now: where its network moves, the name server may be out of reach.
        self._addresses = await _addresses(self.host)
        timeout = aiohttp.ClientTimeout(total=self._request_s, sock_connect=_CONNECT_S)
        self._reading = aiohttp.ClientSession(
            # The server ends idle connections after 5 s (PVE::APIServer::AnyEvent).
            connector=aiohttp.TCPConnector(ssl=check, limit=0, keepalive_timeout=3),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
        )
        self._writing = aiohttp.ClientSession(
            # A connection of its own: one that broke before it was used can't be told from one
            # that broke after the change was made. aiohttp itself would send PUT and DELETE again.
            connector=aiohttp.TCPConnector(ssl=check, limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            middlewares=(_once,),
        )
        try:
            await self.get("/version")
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Closes the connections."""
        await self._close()

    async def get(self, where: str, /, **query: Param) -> Any:
        """The `data` of a read. `where` as `path` makes it."""
        try:
            return await self._call("GET", where, query)
        except Retryable:
            await asyncio.sleep(self._pause_s)
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Retryable),
            wait=tenacity.wait_random_exponential(self._pause_s, max=3)
            + tenacity.wait_fixed(self._pause_s / 2),
            stop=tenacity.stop_after_attempt(_TRIES - 1),
            reraise=True,
        )
        return await retrying(self._call, "GET", where, query)

    async def post(self, where: str, /, **params: Param) -> Any:
        """Creates or does something; returns the answer's `data`, which may name a task."""
        return await self._call("POST", where, params)

    async def put(self, where: str, /, **params: Param) -> Any:
        """Changes something; returns the answer's `data`, which may name a task."""
        return await self._call("PUT", where, params)

    async def delete(self, where: str, /, **params: Param) -> Any:
        """Removes something; returns the answer's `data`, which may name a task."""
        return await self._call("DELETE", where, params)

    async def run(
        self,
        method: str,
        where: str,
        /,
        tell: Tell | None = None,
        limit_s: float = 600,
        **params: Param,
    ) -> str | None:
        """Sends a write and waits for the task that it began, if any. Returns the task's UPID."""
        answer = await self._call(method, where, params)
        if not tasks.is_upid(answer):
            return None
        upid = str(answer)
        await self.wait(upid, tell, limit_s)
        return upid

    async def wait(self, upid: str, tell: Tell | None = None, limit_s: float = 600) -> None:
        """Returns when a task has ended well; see `tasks.wait`."""
        await tasks.wait(self.get, upid, tell, limit_s, self.user)

    async def active(self, node: str, vmid: int) -> Sequence[tasks.Task]:
        """The tasks of a guest that run now; see `tasks.active`."""
        return await tasks.active(self.get, node, vmid)

    async def _call(self, method: str, where: str, params: Params) -> Any:
        write = method != "GET"
        async with self._turns[node_of(where)]:
            headers = await self._login.headers(self._log_in, write=write)
            asked = self._asked(method, where, params)
            reply = await self._send(asked, params, headers)
            # A 401 comes before anything is done, so that a write may be sent again too.
            if reply.status == _UNAUTHORIZED and await self._login.again(self._log_in, headers):
                headers = await self._login.headers(self._log_in, write=write)
                reply = await self._send(asked, params, headers)
            return data(asked, *reply)

    async def _log_in(self, where: str, params: Mapping[str, str]) -> Any:
        asked = self._asked("POST", where, params, safe=True)
        return data(asked, *await self._send(asked, params, {}))

    def _asked(self, method: str, where: str, params: Params, *, safe: bool = False) -> Asked:
        hidden = [str(params[name]) for name in _SECRET_PARAMS if params.get(name)]
        secrets = (*self._login.secrets(), *hidden)
        return Asked(method, where, self.user, secrets, safe or method == "GET")

    async def _send(self, asked: Asked, params: Params, headers: Mapping[str, str]) -> _Reply:
        # The server refuses a DELETE with a body.
        in_body = asked.method in {"POST", "PUT"}
        session = self._reading if asked.method == "GET" else self._writing
        if session is None:
            raise Unreachable("the connection to Proxmox VE is not open")
        text = encoded(params)
        query = f"?{text}" if text and not in_body else ""
        url = URL(f"{self._url}{_BASE}{asked.path}{query}", encoded=True)
        body = text.encode() if in_body else None
        kind = _FORM if in_body else {}
        try:
            async with session.request(
                asked.method,
                url,
                data=body,
                headers={**headers, **kind},
                allow_redirects=False,
                server_hostname=self._named,
            ) as answer:
                content = await answer.read()
                self._answered = True
                return _Reply(answer.status, answer.reason or "", answer.content_type, content)
        except aiohttp.ServerFingerprintMismatch as error:
            why = f"the pinned fingerprint is {colons(error.expected)}"
            raise await distrusted(self._url, why) from error
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "")
            raise await distrusted(self._url, why or str(error.certificate_error)) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._not_sent(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or f"nothing came within {self._request_s:.0f} s"
            raise unanswered(asked, why) from error

    def _not_sent(self, error: Exception) -> Unreachable | Retryable:
        number = getattr(error, "errno", None)
        why = os.strerror(number) if number and number > 0 else str(error)
        message = f"Proxmox VE does not answer at {self._url}: {why}"
        if self._answered:
            return Retryable(message, after_s=2.0, hint="`systemctl status pveproxy` on the node")
        return Unreachable(
            message,
            hint="check hypervisor.endpoint (https://NODE:8006) and that the node is up; "
            "`--on sim` works without it",
        )

    async def _close(self) -> None:
        for session in (self._reading, self._writing):
            if session is not None:
                await session.close()
        self._reading = self._writing = None


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a write again when its connection broke."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken(str(error)) from error


async def _addresses(host: str) -> frozenset[str]:
    try:
        async with asyncio.timeout(_CONNECT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, TimeoutError):  # that it can't be reached is told by the first request
        return frozenset({host})
    return frozenset(str(one[4][0]) for one in found)


def _endpoint(text: str) -> URL:
    """An endpoint without a port means Proxmox VE's own. Raises `Unreachable` for another text."""
    try:
        url = URL(text)
        host, port = url.host, url.explicit_port or _PORT
    except ValueError:
        host, port = None, _PORT
    if not host or url.scheme != "https":
        raise Unreachable(
            f"{text!r} is not the address of an API of Proxmox VE",
            hint="hypervisor.endpoint looks like https://pve1:8006",
        )
    return URL.build(scheme="https", host=host, port=port)
