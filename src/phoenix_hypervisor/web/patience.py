"""How long the server waits for a request: strangers can't hold connections for nothing."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_S = 15.0
"""How long the head of a request may take to come (of a body: `security.answers`)."""


class Patient(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for a request's head without an end."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # as uvicorn has it
        self, transport: asyncio.Transport
    ) -> None:
        """A connection is there."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A part of a request, or a whole one."""
        super().data_received(data)
        if self._due is None and self._is_idle:
            self._wait()

    def on_response_complete(self) -> None:
        """A request is over: the next one's head has its own time, from its first byte on."""
        super().on_response_complete()
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        if self._due is not None:
            self._due.cancel()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._due = self.loop.call_later(_HEAD_S, self._late)

    def _late(self) -> None:
        self._due = None
        if self._is_idle and self.transport.get_protocol() is self:  # else it is a websocket now
            self.transport.close()
