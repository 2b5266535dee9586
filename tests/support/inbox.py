"""Servers on this machine that guests reach: one that answers, one that takes alerts."""

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 120
"""How long anything is waited for; the machine may have much other work."""


@contextmanager
def listening(
    address: str, answer: Callable[[BaseHTTPRequestHandler], None], port: int = 0
) -> Iterator[int]:
    """A server within the block; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer((address, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """One that nobody has just now."""
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


class Inbox:
    """What Alertmanager posts."""

    def __init__(self) -> None:
        self._posted: queue.Queue[dict[str, Any]] = queue.Queue()
        self._alerts: list[dict[str, Any]] = []

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Answers a request."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self._posted.put(json.loads(body))
        request.send_response(200)
        request.end_headers()

    def wait(self, name: str, status: str, **labels: str) -> dict[str, Any]:
        """The first alert of that name, status and labels that was not taken yet."""
        end = time.monotonic() + PATIENCE_S
        wanted = {"alertname": name, **labels}.items()
        while True:
            for number, alert in enumerate(self._alerts):
                if alert["status"] == status and wanted <= alert["labels"].items():
                    return self._alerts.pop(number)
            try:
                left = max(0.0, end - time.monotonic())
                self._alerts += self._posted.get(timeout=left)["alerts"]
            except queue.Empty:
                seen = [(one["labels"]["alertname"], one["status"]) for one in self._alerts]
                raise AssertionError(
                    f"no {status} {name} came within {PATIENCE_S} s, but {seen}"
                ) from None
