"""Large files, fetched from a real server that breaks off, redirects and refuses."""

import hashlib
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.features._fetch_file import TRIES, Failed, Fetch

CONTENT = bytes(range(256)) * 4096  # 1 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Hub:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str = '"one"'
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    token: str = ""
    linked: str = ""
    ranges: bool = True
    size_told: str = "bytes */{}"
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def hub() -> Iterator[Hub]:
    told = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(
                (self.path, self.headers.get("Range"), self.headers.get("Authorization"))
            )
            if told.statuses:
                self.send_error(told.statuses.pop(0))
            elif told.token and self.path == "/model" and not self._has_token():
                self.send_error(401)
            elif self.path == "/model" and told.linked:
                self.send_response(302)
                self.send_header("Location", told.address + "/cdn")
                self.send_header("X-Linked-ETag", told.linked)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._content()

        def _has_token(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {told.token}"

        def _content(self) -> None:
            start = 0
            asked = self.headers.get("Range")
            same = self.headers.get("If-Range") in (None, told.etag)
            if asked and told.ranges and same:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(told.content):
                    self.send_response(416)
                    self.send_header("Content-Range", told.size_told.format(len(told.content)))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
            else:
                self.send_response(200)
            body = told.content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", told.etag)
            self.end_headers()
            self.wfile.write(body[: told.cut_after.pop(0)] if told.cut_after else body)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetch(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def run(**more: Any) -> list[str]:
        said: list[str] = []
        target = tmp_path / "models" / "m.gguf"
        Fetch(f"{hub.address}/model", target, say=said.append, pause=lambda _: None, **more).run()
        assert target.read_bytes() == hub.content
        assert [path.name for path in target.parent.iterdir()] == ["m.gguf"]
        assert target.stat().st_mode & 0o777 == 0o644
        return said

    return run


def test_a_whole_file(hub: Hub, fetch: Callable[..., list[str]]) -> None:
    fetch(sha256=DIGEST)
    assert hub.asked == [("/model", None, None)]


def test_a_broken_connection_is_gone_on_with(hub: Hub, fetch: Callable[..., list[str]]) -> None:
    hub.cut_after = [300_000, 200_000]
    said = fetch(sha256=DIGEST)
    assert [asked for _, asked, _ in hub.asked] == [None, "bytes=300000-", "bytes=500000-"]
    assert any("trying again" in line for line in said)


def test_what_an_earlier_run_left_is_gone_on_with(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/m.gguf.part").write_bytes(CONTENT[:1000])
    fetch(sha256=DIGEST)
    assert hub.asked == [("/model", "bytes=1000-", None)]


def test_a_whole_part_is_only_renamed(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/m.gguf.part").write_bytes(CONTENT)
    fetch(sha256=DIGEST)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_meanwhile_starts_anew(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path, ranges: bool
) -> None:
    hub.ranges = ranges
    (tmp_path / "models").mkdir()
    (tmp_path / "models/m.gguf.part").write_bytes(b"x" * 5000)
    (tmp_path / "models/m.gguf.etag").write_text('"older"')
    fetch()


@pytest.mark.parametrize(
    ("length", "tells_size"), [(len(CONTENT) + 7, True), (len(CONTENT), False)]
)
def test_a_part_that_the_server_knows_no_rest_of_starts_anew(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path, length: int, tells_size: bool
) -> None:
    if not tells_size:
        hub.size_told = ""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/m.gguf.part").write_bytes(b"x" * length)
    fetch(sha256=DIGEST)
    assert [asked for _, asked, _ in hub.asked] == [f"bytes={length}-", None]


def test_a_wrong_checksum_is_told_and_nothing_kept(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(Failed, match=f"SHA-256 is {DIGEST}, but 0000"):
        fetch(sha256="0" * 64)
    assert (tmp_path / "models/m.gguf.part").stat().st_size == 0
    fetch(sha256=DIGEST)


def test_a_hub_tells_the_checksum_itself(hub: Hub, fetch: Callable[..., list[str]]) -> None:
    hub.linked = f'"{DIGEST}"'
    fetch()
    hub.linked = f'"{"1" * 64}"'
    hub.content += b"."
    with pytest.raises(AssertionError):
        fetch()  # it is there already, and is not looked at again


def test_a_hubs_wrong_checksum(hub: Hub, fetch: Callable[..., list[str]]) -> None:
    hub.linked = f'"{"1" * 64}"'
    with pytest.raises(Failed, match="but 1111"):
        fetch()


def test_the_token_stays_with_the_hub(hub: Hub, fetch: Callable[..., list[str]]) -> None:
    hub.token, hub.linked = "hf_secret", f'"{DIGEST}"'
    fetch(token="hf_secret")
    assert [(path, token) for path, _, token in hub.asked] == [
        ("/model", "Bearer hf_secret"),
        ("/cdn", None),
    ]


@pytest.mark.parametrize(
    ("token", "words"), [(None, "no token is given"), ("wrong", "the token may not see it")]
)
def test_a_refusal_is_told_at_once(
    hub: Hub, fetch: Callable[..., list[str]], token: str | None, words: str
) -> None:
    hub.token = "right"
    with pytest.raises(Failed, match=f"401 Unauthorized: .*{words}"):
        fetch(token=token)
    assert len(hub.asked) == 1


def test_a_busy_server_is_asked_again_but_not_for_ever(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path
) -> None:
    hub.statuses = [503, 429, 502]
    fetch()
    assert len(hub.asked) == 4
    (tmp_path / "models/m.gguf").unlink()
    hub.asked.clear()
    hub.statuses = [503] * 99
    with pytest.raises(Failed, match=r"503 .*tried 6 times"):
        fetch()
    assert len(hub.asked) == TRIES


def test_missing_room_is_told_before(
    hub: Hub, fetch: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        f_bavail, f_frsize = 65 * 1024, 1024

    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    hub.content = CONTENT * 3
    with pytest.raises(Failed, match=r"m.gguf needs 0.00 GB more, but .*models has 0.07 GB free"):
        fetch()
    assert (tmp_path / "models/m.gguf.part").stat().st_size == 0


def test_another_one_that_fetches_it_is_waited_for(
    hub: Hub, fetch: Callable[..., list[str]], tmp_path: Path
) -> None:
    import fcntl

    folder = tmp_path / "models"
    folder.mkdir()
    said: list[str] = []
    with (folder / "m.gguf.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: said.extend(fetch()))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        held.write(CONTENT)
        held.flush()
        (folder / "m.gguf.part").rename(folder / "m.gguf")
    waiting.join(10)
    assert said == ["somebody else fetches it: waiting"]
    assert hub.asked == []
