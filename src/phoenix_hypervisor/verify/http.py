"""HTTP as a check needs it: a request, a reply, and how to get the one for the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phoenix_hypervisor.verify.answered import No, at, refused

if TYPE_CHECKING:
    import aiohttp

BODY_LIMIT = 1024 * 1024
"""As much of a body is read; a stream that never ends must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `address` is where to connect to; `host` is what is asked for there."""

    address: str
    port: int
    tls: bool
    verify_tls: bool
    method: str
    path: str
    host: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """The address and port, for messages."""
        return at(self.address, self.port)

    @property
    def authority(self) -> str:
        """The Host header: the port is left out where it is the scheme's own (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL by address."""
        return f"{'https' if self.tls else 'http'}://{self.where}{self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; `body` is cut at `BODY_LIMIT`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", errors="replace")


async def send(request: Request, reads: Callable[[int], bool]) -> Reply:
    """Sends a request from here, following no redirect. Raises `No` where no reply comes.

    `reads` says for a status whether its body matters: a good one may be a stream without end.
    """
    import aiohttp
    from yarl import URL

    headers = dict(request.headers) | {"Host": request.authority}
    try:
        async with (
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None)
            ) as session,
            session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=headers,
                data=request.body,
                allow_redirects=False,
                ssl=request.verify_tls,
                server_hostname=request.host if request.tls else None,
            ) as reply,
        ):
            body = await _read(reply.content) if reads(reply.status) else b""
            return Reply(reply.status, reply.headers, body)
    except aiohttp.ClientConnectorCertificateError as error:
        words = getattr(error.certificate_error, "verify_message", "") or str(error)
        raise No(f"the TLS certificate is not trusted: {words}") from error
    except aiohttp.ClientConnectorSSLError as error:
        words = error.os_error.strerror or str(error.os_error)
        raise No(f"no TLS with {request.where}: {words}") from error
    except aiohttp.ClientOSError as error:
        raise refused(error, request.where) from error
    except aiohttp.ServerDisconnectedError as error:
        raise No(f"{request.where} closed the connection without an answer") from error
    except aiohttp.ClientPayloadError as error:
        raise No(f"the answer of {request.where} broke off") from error
    except aiohttp.ClientError as error:
        raise No(f"{request.where} does not speak HTTP: {error}") from error


async def _read(content: "aiohttp.StreamReader") -> bytes:
    body = bytearray()
    while len(body) < BODY_LIMIT and (block := await content.read(BODY_LIMIT - len(body))):
        body += block
    return bytes(body)
