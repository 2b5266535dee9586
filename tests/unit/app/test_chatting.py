"""Talking to a model: pieces as they come, and a server that can't be trusted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from phoenix_hypervisor.app import bench, chatting
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.model.errors import PhoenixError, UsageError
from phoenix_hypervisor.verify.llm.outside import Outside
from phoenix_hypervisor.verify.llm.question import Server

HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
PIECES = b"".join(
    b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % word for word in (b"a ", b"b")
)


class Model:
    """Answers everything with `says`; `seen` are the heads of requests."""

    def __init__(self, says: bytes) -> None:
        self.says, self.seen, self.port = says, list[str](), 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.says)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(says: bytes) -> AsyncIterator[Model]:
    model = Model(says)
    async with await asyncio.start_server(model.answer, "127.0.0.1", 0) as server:
        model.port = server.sockets[0].getsockname()[1]
        yield model


async def asked(model: Model, monkeypatch: pytest.MonkeyPatch, kind: str = "chat") -> str:
    @asynccontextmanager
    async def of_stack(*_: Any, **__: Any) -> AsyncIterator[bench.Found]:
        server = Server("127.0.0.1", model.port, host="llm.example", api_key="k-1")
        yield bench.Found(server, Outside(), "the model", "m", kind)  # type: ignore[arg-type]

    monkeypatch.setattr(bench, "of_stack", of_stack)
    session = cast("Session", None)
    question = [{"role": "user", "content": "?"}]
    pieces = chatting.talk(session, "lxc/101", "m", question, most_tokens=5)
    return "|".join([piece async for piece in pieces])


async def test_the_answer_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(HEAD + PIECES + b"data: [DONE]\n\n") as model:
        assert await asked(model, monkeypatch) == "a |b"
        assert "Host: llm.example" in model.seen[0]


async def test_a_model_leads_this_machine_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(HEAD + PIECES) as inner:
        to = f"http://127.0.0.1:{inner.port}/internal".encode()
        moved = b"HTTP/1.1 302 Found\r\nlocation: " + to + b"\r\ncontent-length: 0\r\n\r\n"
        async with serving(moved) as model:
            with pytest.raises(PhoenixError, match="the model answers 302"):
                await asked(model, monkeypatch)
        assert inner.seen == []


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b'data: {"error": {"message": "context too long"}}\n\n', "context too long"),
        (b'data: {"error": "overloaded"}\n\n', "overloaded"),
        (b"data: " + b"x" * 900_000 + b"\n\n", "no stream"),
        (PIECES * 10_000, "more than can be shown"),
    ],
)
async def test_what_went_wrong_there_is_told(
    monkeypatch: pytest.MonkeyPatch, says: bytes, why: str
) -> None:
    async with serving(HEAD + says) as model:
        with pytest.raises(PhoenixError, match=why):
            await asked(model, monkeypatch)


async def test_only_models_for_chats_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(HEAD) as model:
        with pytest.raises(UsageError, match="not for chats"):
            await asked(model, monkeypatch, "embedding")
        assert model.seen == []
