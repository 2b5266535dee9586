"""A model hub that serves folders: the part of the Hugging Face Hub's API that Phoenix asks.

`GET /api/models/{repo}/revision/{revision}` and `GET /{repo}/resolve/{commit}/{file}`.
"""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What it holds (folders by `owner/name`), what it demands, and what it was asked."""

    models: Mapping[str, Path]
    token: str = ""
    statuses: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def hub(models: Mapping[str, Path], listen: str = "127.0.0.1") -> Iterator[Hub]:
    """Serves as long as the block lasts."""
    told = Hub(models)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlparse(self.path).path)
            told.asked.append(path)
            if told.statuses:
                self.send_error(told.statuses.pop(0))
            elif told.token and self.headers.get("Authorization") != f"Bearer {told.token}":
                self.send_error(401)
            elif (body := _answer(told, path)) is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            pass

    server = http.server.ThreadingHTTPServer((listen, 0), Handler)
    told.address = f"http://{listen}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


def _answer(told: Hub, path: str) -> bytes | None:
    for repo, folder in told.models.items():
        if path == f"/api/models/{repo}/revision/main":
            return json.dumps(
                {"id": repo, "sha": COMMIT, "siblings": list(_siblings(folder))}
            ).encode()
        before = f"/{repo}/resolve/{COMMIT}/"
        file = folder / path.removeprefix(before)
        if path.startswith(before) and file.is_file() and file.is_relative_to(folder):
            return file.read_bytes()
    return None


def _siblings(folder: Path) -> Iterator[dict[str, object]]:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found: dict[str, object] = {
            "rfilename": str(file.relative_to(folder)),
            "size": file.stat().st_size,
        }
        if file.suffix == ".safetensors":
            found["lfs"] = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        yield found
