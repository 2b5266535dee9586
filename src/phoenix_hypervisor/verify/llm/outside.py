"""Asks a model server from here, each time over a connection of its own.

Times are taken where bytes come in, and what came is read afterwards: a client that does more
adds its own time to what it measures when many answers come at once. Connections are not kept:
llama.cpp's server closes such a one without a word, and a POST that meets its end can't simply be
sent again.
"""

import asyncio
import ssl
import time

from phoenix_hypervisor.verify.answered import No, refused
from phoenix_hypervisor.verify.http import Request
from phoenix_hypervisor.verify.http_inside import raw
from phoenix_hypervisor.verify.llm.exchange import REPLY_LIMIT, Exchange
from phoenix_hypervisor.verify.llm.wire import reply


class Outside:
    """The way over the network. A request's time begins before its connection is made."""

    def __init__(self) -> None:
        self._contexts: dict[bool, ssl.SSLContext] = {}

    async def send(self, request: Request) -> Exchange:
        """Sends a request and reads its reply to the end. Raises `No`."""
        asked = raw(request)
        context = self._context(request.verify_tls) if request.tls else None
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        try:
            transport, wire = await loop.create_connection(
                _Wire,
                request.address,
                request.port,
                ssl=context,
                server_hostname=request.host if context else None,
            )
        except ssl.SSLCertVerificationError as error:
            raise No(f"the TLS certificate is not trusted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise No(f"no TLS with {request.where}: {error.reason or error}") from error
        except OSError as error:
            raise refused(error, request.where) from error
        try:
            transport.write(asked)
            await wire.ended.wait()
        finally:
            transport.abort()
        if wire.size > REPLY_LIMIT:
            raise No(f"the answer of {request.where} has more than {REPLY_LIMIT} bytes")
        if not wire.pieces:
            raise No(f"{request.where} closed the connection without an answer")
        return reply(request.where, [(at - began, data) for at, data in wire.pieces])

    def _context(self, verify: bool) -> ssl.SSLContext:
        if verify not in self._contexts:
            context = self._contexts[verify] = ssl.create_default_context()
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        return self._contexts[verify]


class _Wire(asyncio.Protocol):
    """Keeps what comes, each piece with the time at which it came."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self.size = 0
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))
        self.size += len(data)
        if self.size > REPLY_LIMIT:
            self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of a good reply as well: whether it was one is seen by what came."""
        self.ended.set()
