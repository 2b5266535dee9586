"""A model server whose times are known: it does little else than wait, write and note when.

    python -m tests.support.llm_timed FIRST_S,… BETWEEN_S TOKENS

prints its port on standard output, and ends with its standard input. The n-th answer takes the n-th
of the first delays, again from the beginning after the last. `GET /truth` tells when, in seconds
from a client's connection, first and last token and the end were written, and the number with
which the prompt began.

No web framework is between the clock and the socket: with many requests at once its own time
would come before the server's clock starts, but behind the client's.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: "


@dataclass
class Timed:
    first_s: list[float]
    between_s: float
    tokens: int
    truth: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.delays: Iterator[float] = itertools.cycle(self.first_s)
        self.token = event({"choices": [{"delta": {"content": "word "}}]})
        usage = {"completion_tokens": self.tokens, "prompt_tokens": 12}
        self.end = event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def event(content: Any) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()


class Connection(asyncio.Protocol):
    """One request and its answer; the connection's end is the answer's."""

    def __init__(self, server: Timed) -> None:
        self.server = server
        self.asked = b""
        self.told: dict[str, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.began = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        self.asked += data
        head, _, body = self.asked.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if b"\r\n\r\n" in self.asked and len(body) >= int(length[1] if length else 0):
            self.answer(head.split()[1], body)

    def answer(self, path: bytes, body: bytes) -> None:
        known = {b"/truth": self.server.truth, b"/v1/models": {"data": [{"id": "timed"}]}}
        if path in known:
            text = json.dumps(known[path]).encode()
            self.transport.write(_HEAD + b"application/json\r\n\r\n" + text)
            self.transport.close()
            return
        prompt = json.loads(body)["messages"][0]["content"]
        self.told["number"] = int(prompt.partition(".")[0])
        self.transport.write(_HEAD + b"text/event-stream\r\n\r\n")
        self.due = asyncio.get_running_loop().time() + next(self.server.delays)
        self.later(self.server.tokens)

    def later(self, left: int) -> None:
        asyncio.get_running_loop().call_at(self.due, self.write, left)

    def write(self, left: int) -> None:
        self.transport.write(self.server.token)
        now = time.perf_counter() - self.began
        self.told.setdefault("first_s", now)
        if left > 1:
            self.due += self.server.between_s
            self.later(left - 1)
            return
        self.told["last_s"] = now
        self.transport.write(self.server.end)
        self.told["total_s"] = time.perf_counter() - self.began
        self.server.truth.append(self.told)
        self.transport.close()


async def main(first: str, between: str, tokens: str) -> None:
    timed = Timed([float(one) for one in first.split(",")], float(between), int(tokens))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(timed), "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
