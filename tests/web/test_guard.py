"""The guard around an application of the test's own; and how long the server waits for requests."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from nicegui import Client, core, ui
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

from phoenix_hypervisor.web import patience
from phoenix_hypervisor.web.api import errors
from phoenix_hypervisor.web.frame import Frame
from phoenix_hypervisor.web.markup import Html, el
from phoenix_hypervisor.web.security import answers, pages
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import SCOPE
from phoenix_hypervisor.web.security.guard import Guard, Rules
from phoenix_hypervisor.web.security.keys import Keys
from phoenix_hypervisor.web.security.sessions import Sessions

HOST = "127.0.0.1:8420"


def guard(app: ASGIApp, folder: Path, sessions: Sessions) -> Guard:
    rules = Rules(frozenset({f"http://{HOST}"}), "phoenix")
    return Guard(app, rules, sessions, Keys(folder), Audit(folder))


def scope(path: str, cookie: str = "", method: str = "GET") -> Scope:
    headers = [(b"host", HOST.encode()), (b"cookie", f"phoenix={cookie}".encode())]
    whole = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    return {**whole, "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1)}


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_open_pages_go_with_their_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.sio, "handlers", {"/": {}})
    clock = SimpleNamespace(now=0.0)
    sessions = Sessions(100, 1000, lambda: clock.now)
    pages.bind(sessions)
    first, second, other = (sessions.open(f"token {n}", "act", "x") for n in range(3))

    def opened(name: str) -> Client:
        found = sessions.find(name)
        assert found
        return Client(ui.page("/x"), request=Request({**scope("/x"), SCOPE: found.caller}))

    logged_out, idle, kept = opened(first), opened(second), opened(other)
    sessions.close(first)
    await asyncio.sleep(0)
    assert logged_out.is_deleted
    assert not idle.is_deleted
    clock.now = 90
    sessions.find(other)
    assert pages.session_of_page(idle.id)
    clock.now = 100
    sessions.find(second)
    await asyncio.sleep(0)
    assert idle.is_deleted
    assert pages.session_of_page(idle.id) is None
    assert not kept.is_deleted
    kept.delete()


@pytest.mark.parametrize(("leaves", "is_silent"), [(True, True), (False, False)])
async def test_who_leaves_before_the_answer_is_no_error(
    tmp_path: Path, leaves: bool, is_silent: bool
) -> None:
    sessions = Sessions(100, 100)
    name = sessions.open("password", "act", "x")

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        raise RuntimeError("No response returned.")

    async def receive() -> Message:
        return {"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b""}

    async def send(_: Message) -> None:
        raise AssertionError

    asked = guard(app, tmp_path, sessions)(scope("/", name), receive, send)
    if is_silent:
        await asked
    else:
        with pytest.raises(RuntimeError, match="No response"):
            await asked


async def test_a_stream_ends_with_its_session(tmp_path: Path) -> None:
    sessions = Sessions(100, 100)
    name = sessions.open("password", "act", "x")
    sent: list[bytes] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(10):
            if number == 3:
                sessions.close(name)
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    await guard(app, tmp_path, sessions)(scope("/api/v1/jobs/x/events", name), never, send)
    assert sent == [b"0", b"1", b"2", b""]


async def test_an_answer_in_one_piece_may_end_the_session_itself(tmp_path: Path) -> None:
    sessions = Sessions(100, 100)
    name = sessions.open("password", "act", "x")
    sent: list[Any] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        sessions.close(name)
        await send({"type": "http.response.start", "status": 303, "headers": []})
        await send({"type": "http.response.body", "body": b"bye"})

    async def send(message: Message) -> None:
        sent.append(message.get("body") or message["status"])

    await guard(app, tmp_path, sessions)(scope("/x", name), never, send)
    assert sent == [303, b"bye"]


async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_BODY_S", 0.05)
    statuses: list[int] = []

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    whole = guard(app, tmp_path, Sessions(100, 100))
    await asyncio.wait_for(whole(scope("/login", method="POST"), never, send), 10)
    assert statuses[0] == 408


async def test_after_its_body_a_request_may_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_BODY_S", 0.05)
    gone = asyncio.Event()
    messages = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    limited = answers.limited(receive, 10)
    await limited()
    end = asyncio.ensure_future(limited())
    await asyncio.sleep(0.2)
    assert not end.done()
    gone.set()
    assert (await end)["type"] == "http.disconnect"


async def asked(app: ASGIApp, tell: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `tell` finds out, of a server that waits 0.3 s for the head of a request."""
    monkeypatch.setattr(patience, "_HEAD_S", 0.3)
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: patience.Patient(config, state, {}), "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        found = await asyncio.wait_for(tell(reader, writer), 10)
        writer.close()
        return found
    finally:
        server.close()


async def quick(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_each_request_of_a_connection_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        said = b""
        for pause_s in (0.0, 0.25, 0.15):  # the third one's head is not whole at 0.3 s
            await asyncio.sleep(pause_s)
            writer.write(b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(0.1)
            writer.write(b"Host: x\r\n\r\n")
            said += await reader.readuntil(b"0\r\n\r\n")
        return said

    assert (await asked(quick, tell, monkeypatch)).count(b"hello") == 3


async def hello(_: Scope, __: Receive, send: Send) -> None:
    await asyncio.sleep(0.6)  # longer than a head may take
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_what_nobody_expected_is_told_by_its_kind_alone() -> None:
    app = FastAPI()
    errors.answer(app, str)

    @app.get("/{kind}")
    async def broken(kind: str) -> None:
        raise {"bug": RuntimeError("a secret"), "file": sqlite3.DatabaseError("malformed")}[kind]

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        bug, file = await client.get("/bug"), await client.get("/file")
    assert (bug.status_code, file.status_code) == (500, 500)
    assert bug.json()["error"] == "an unexpected RuntimeError: this is a bug"
    assert file.json()["error"] == "what was kept can't be read: malformed"


async def test_a_part_of_a_page_that_breaks_says_so() -> None:
    frame = object.__new__(Frame)
    desk = SimpleNamespace(hide=lambda text: text.replace("word", "[secret]"))
    frame.here = cast("Any", SimpleNamespace(desk=desk))

    async def bug() -> Html:
        raise RuntimeError("a secret")

    async def file() -> Html:
        raise sqlite3.DatabaseError("malformed word")

    async def fine() -> Html:
        return el("p", "a word", title="word")

    assert "An unexpected RuntimeError: this is a bug." in await frame._made(bug)
    assert "malformed [secret]" in await frame._made(file)
    assert await frame._made(fine) == '<p title="word">a [secret]</p>'


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("half", [b"", b"GET", HEAD])
async def test_half_a_request_is_not_waited_for(
    half: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(half)
        return await reader.read()

    assert await asked(hello, tell, monkeypatch) == b""


async def test_nor_is_half_a_second_one_and_a_slow_answer_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"\r\n")
        said = await reader.readuntil(b"hello")
        writer.write(HEAD)
        return said + await reader.read()

    said = await asked(hello, tell, monkeypatch)
    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"hello") == 1
