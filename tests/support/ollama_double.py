#!/usr/bin/env python3
"""A double of Ollama's server: its documented API without any model, for the tests of `ollama`.

Written after docs/api.md of Ollama's repository. In a test it is a server in a thread; run as
`ollama serve` it listens where OLLAMA_HOST says, and keeps its models below OLLAMA_MODELS.
"""

import hashlib
import http.server
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = "0.21.2"


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass
class State:
    """Models that are there (name to digest) and made, what was asked, and what goes wrong."""

    library: dict[str, int] = field(
        default_factory=lambda: {
            "smollm2:135m": 270_000_000,
            "smollm2:latest": 1_800_000_000,
            "nomic-embed-text:latest": 274_000_000,
        }
    )
    models: dict[str, str] = field(default_factory=dict)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    cut_pulls: int = 0
    folder: Path | None = None

    def load(self) -> None:
        """Models of an earlier process."""
        if self.folder and (self.folder / "models.json").exists():
            self.models = json.loads((self.folder / "models.json").read_text())

    def keep(self) -> None:
        """For a later process."""
        if self.folder:
            (self.folder / "models.json").write_text(json.dumps(self.models))


def tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


class Server(http.server.ThreadingHTTPServer):
    """One that has models."""

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.state = state
        super().__init__(address, Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> State:
        assert isinstance(self.server, Server)
        return self.server.state

    def do_GET(self) -> None:
        self.state.asked.append(("GET", self.path, None))
        if self.path == "/api/version":
            self._json(200, {"version": VERSION})
        elif self.path == "/api/tags":
            models = [
                {"name": name, "model": name, "size": 1, "digest": told.removeprefix("sha256:")}
                for name, told in self.state.models.items()
            ]
            self._json(200, {"models": models})
        else:
            self._json(404, {"error": "404 page not found"})

    def do_POST(self) -> None:
        body = self._body()
        self.state.asked.append(("POST", self.path, body))
        if self.path == "/api/pull":
            self._pull(tagged(body["model"]))
        elif self.path == "/api/create":
            self._create(tagged(body["model"]), body)
        elif self.path == "/api/show":
            name = tagged(body["model"])
            found = self.state.made.get(name, {})
            if name in self.state.models:
                self._json(200, {"modelfile": "", "parameters": "", "details": {}} | found)
            else:
                self._json(404, {"error": f"model '{name}' not found"})
        else:
            self._json(404, {"error": "404 page not found"})

    def do_DELETE(self) -> None:
        body = self._body()
        self.state.asked.append(("DELETE", self.path, body))
        name = tagged(body["model"])
        if self.state.models.pop(name, None) is None:
            self._json(404, {"error": f"model '{name}' not found"})
            return
        self.state.keep()
        self._json(200, None)

    def _pull(self, name: str) -> None:
        self._begin()
        self._line({"status": "pulling manifest"})
        if name not in self.state.library:
            self._line({"error": "pull model manifest: file does not exist"})
            self._end()
            return
        size = self.state.library[name]
        layer = digest(name)
        for part in range(5):
            told = {"digest": layer, "total": size, "completed": size * part // 4}
            self._line({"status": f"pulling {layer[7:19]}"} | told)
            if part == 2 and self.state.cut_pulls:
                self.state.cut_pulls -= 1
                self.close_connection = True
                self.connection.close()
                return
        for status in ("verifying sha256 digest", "writing manifest"):
            self._line({"status": status})
        self.state.models[name] = layer
        self.state.keep()
        self._line({"status": "success"})
        self._end()

    def _create(self, name: str, body: dict[str, Any]) -> None:
        if tagged(body.get("from", "")) not in self.state.models:
            self._json(400, {"error": f"model '{body.get('from')}' not found"})
            return
        self._begin()
        self._line({"status": "using existing layer sha256:1"})
        self.state.made[name] = body
        self.state.models[name] = digest(json.dumps(body, sort_keys=True))
        self.state.keep()
        self._line({"status": "success"})
        self._end()

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _json(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _line(self, told: dict[str, Any]) -> None:
        content = json.dumps(told).encode() + b"\n"
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def serve(state: State, host: str = "127.0.0.1", port: int = 0) -> Server:
    """A running server; end it with `shutdown` and `server_close`."""
    server = Server((host, port), state)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def main() -> None:
    """`ollama serve`."""
    if sys.argv[1:] != ["serve"]:
        sys.exit(f"unknown command {sys.argv[1:]}")
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    state = State(folder=Path(os.environ["OLLAMA_MODELS"]))
    state.load()
    state.keep()  # as Ollama does, it fails where it can't write there
    serve(state, host.strip("[]"), int(port))
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
