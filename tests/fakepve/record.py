# SPDX-License-Identifier: AGPL-3.0-or-later
"""What was asked of the double, and what happens to single requests on the way."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from tests.fakepve.files import Files

from fakepve.server import redact  # type: ignore[import-not-found]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_API = "/api2/json"


@dataclass
class Fault:
    """What happens to requests of a method whose path ends with `suffix`."""

    method: str
    suffix: str
    kind: str
    """`drop`: the connection breaks; `answer`: another answer comes; `delay`: it takes longer."""
    when: str = "before"
    """Whether the request is carried out first: `before` or `after` it."""
    times: int | None = 1
    status: int = 596
    message: str = "Connection timed out"
    html: bool = False
    secs: float = 0.0


@dataclass
class Recorder:
    """Sees every request; holds the faults."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    files: Files | None = None
    """Kept in step with the state, before and after each request."""

    def middleware(self) -> Any:
        """To be the outermost one."""

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._handle(request, handler)

        return record

    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        path = request.path.removeprefix(_API)
        parts = path.split("/")
        node = parts[2] if len(parts) > 2 and parts[1] == "nodes" else ""
        entry: dict[str, Any] = {
            "method": request.method,
            "path": path,
            "query": parse_qsl(request.query_string, keep_blank_values=True),
            "form": parse_qsl(redact(body, request.content_type).decode(errors="replace")),
            "status": None,
            "at": time.monotonic(),
        }
        self.asked.append(entry)
        self.under_way[node] += 1
        self.most[node] = max(self.most[node], self.under_way[node])
        try:
            response = await self._answer(request, handler, path, body)
        finally:
            self.under_way[node] -= 1
        entry["status"] = response.status
        entry["reason"] = response.reason
        return response

    async def _answer(
        self, request: web.Request, handler: Handler, path: str, body: bytes
    ) -> web.StreamResponse:
        why = _malformed(request, body)
        if why:
            return web.json_response({"data": None, "message": why}, status=501, reason=why)
        fault = self._fault(request.method, path)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.secs)
            fault = None
        if fault is not None and fault.when == "before":
            return _instead(request, fault)
        if self.files is not None:
            self.files.read_in()
        response = await handler(request)
        if self.files is not None:
            self.files.write_out()
        if fault is not None:
            return _instead(request, fault)
        if response.status == 401 and not path.endswith("/access/ticket"):
            # The daemons refuse it before a formatter is chosen: the reason is all there is.
            return web.Response(status=401, reason=response.reason or "No ticket")
        return response

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and path.endswith(fault.suffix):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                return fault
        return None


def _malformed(request: web.Request, body: bytes) -> str:
    """What PVE::APIServer::AnyEvent does not take, or takes for something else."""
    if body and request.method not in {"POST", "PUT"}:
        return f"Unexpected content for method '{request.method}'"
    is_form = request.content_type == "application/x-www-form-urlencoded"
    if ";" in request.rel_url.raw_query_string or (is_form and b";" in body):
        return "a bare semicolon separates parameters"
    return ""


def _instead(request: web.Request, fault: Fault) -> web.Response:
    if fault.kind == "drop":
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("dropped, as the test asked")
    if fault.html:
        page = f"<html><body>{fault.message}</body></html>"
        return web.Response(status=fault.status, text=page, content_type="text/html")
    return web.Response(status=fault.status, reason=fault.message)
