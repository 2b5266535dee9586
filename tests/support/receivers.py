"""Real receivers of alerts on loopback: a web hook, and a mail server (RFC 5321, its least)."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any


@dataclass
class Hook:
    """A web hook: what it got, and what it answers next (200 where nothing is set)."""

    port: int = 0
    got: "Queue[dict[str, Any]]" = field(default_factory=Queue)
    answers: list[int] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    """While it is clear, no request is answered."""
    asked: "Queue[int]" = field(default_factory=Queue)
    """The status of each request, also of those refused."""

    def url(self, path: str = "hook") -> str:
        return f"json://127.0.0.1:{self.port}/{path}"


@contextmanager
def hook() -> Iterator[Hook]:
    """Serves on a free port."""
    served = Hook()
    served.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            served.held.wait(30)
            status = served.answers.pop(0) if served.answers else 200
            if status == 200:
                served.got.put({"path": self.path, **json.loads(text)})
            self.send_response(status)
            self.end_headers()
            served.asked.put(status)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.port = server.server_port
    with _serving(server):
        yield served
        served.held.set()


@dataclass
class Mail:
    """A mail server: the letters that it got."""

    port: int = 0
    got: "Queue[Message]" = field(default_factory=Queue)


@contextmanager
def mail() -> Iterator[Mail]:
    """Serves on a free port."""
    served = Mail()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline():
                word = line.split(b" ")[0].strip().upper()
                if word == b"DATA":
                    self._say("354 go on")
                    letter = b""
                    while (line := self.rfile.readline()) not in (b".\r\n", b""):
                        letter += line.removeprefix(b".") if line.startswith(b"..") else line
                    served.got.put(message_from_bytes(letter))
                self._say("221 bye" if word == b"QUIT" else "250 fine")
                if word == b"QUIT":
                    return

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.port = server.server_address[1]
    with _serving(server):
        yield served


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
