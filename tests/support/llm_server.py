"""A model server for tests, which does as the model that is asked for has it.

Also a process of its own:

    python -m tests.support.llm_server FIRST_S,… BETWEEN_S TOKENS

prints its port on standard output, and ends with its standard input.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Words = dict[str, Any]


@dataclass(slots=True)
class LlmServer:
    """The delays are seconds: until the first token (the n-th chat takes the n-th), and between."""

    first_s: Sequence[float] = (0.0,)
    between_s: float = 0.0
    tokens: int = 6
    api_key: str = ""
    loading: int = 0
    models: Sequence[str] = ("small", "other")
    asked: list[Words] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def app(self) -> web.Application:
        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            return self._refused(request) or await handler(request)

        app = web.Application(middlewares=[guard])
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/rerank", self._rerank)
        return app

    def _refused(self, request: web.Request) -> web.Response | None:
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return refusal(401, "Invalid API key")
        if self.loading > 0:
            self.loading -= 1
            return refusal(503, "Loading model")
        return None

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": one} for one in self.models]})

    async def _embeddings(self, request: web.Request) -> web.Response:
        words = await request.json()
        self.asked.append(words)
        vector: list[float] = [0.0] * 4 if words["model"] == "zeros" else [0.5, -0.25, 0.125, 1]
        data = [{"index": 0, "embedding": vector}]
        return web.json_response({"data": data, "usage": {"prompt_tokens": 9}})

    async def _rerank(self, request: web.Request) -> web.Response:
        words = await request.json()
        results = [
            {"index": n, "relevance_score": 1.0 / (n + 1)} for n in range(len(words["documents"]))
        ]
        dropped = 1 if words["model"] == "forgetful" else 0
        return web.json_response({"results": results[dropped:], "usage": {"total_tokens": 20}})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        words = await request.json()
        self.asked.append(words)
        model = words["model"]
        if model == "strict" and {"stream_options", "ignore_eos"} & set(words):
            return refusal(400, "Unrecognized request argument")
        if model == "unknown":
            return refusal(404, "The model `unknown` does not exist")
        if model == "whole":
            return web.json_response(whole(self.tokens))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return await self._stream(request, model, began, len(self.asked) - 1)
        finally:
            self.at_once -= 1

    async def _stream(
        self, request: web.Request, model: str, began: float, number: int
    ) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(event({"role": "assistant", "content": ""}))
        due = began + self.first_s[number % len(self.first_s)]
        for token in range(self.tokens):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due += self.between_s
            if model == "failing" and token == 2:
                error = {"error": {"message": "out of memory", "code": 500}}
                await stream.write(f"data: {json.dumps(error)}\n\n".encode())
                return stream
            if model == "gone" and token == 2:
                assert request.transport is not None
                request.transport.abort()
                return stream
            await stream.write(event({"content": f"grüße {token} "}))
        if model == "short":  # neither an end nor a reason for it
            return stream
        await stream.write(event({}, finish="length"))
        if model != "uncounted":
            usage = {"completion_tokens": self.tokens, "prompt_tokens": 12}
            await stream.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode())
        if model != "endless":
            await stream.write(b"data: [DONE]\n\n")
        return stream


def event(delta: Words, finish: str | None = None) -> bytes:
    """One event of a stream, with JSON that is not only ASCII."""
    content = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def whole(tokens: int) -> Words:
    message = {"role": "assistant", "content": "all at once"}
    return {"choices": [{"message": message}], "usage": {"completion_tokens": tokens}}


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


@asynccontextmanager
async def serving(server: LlmServer, ssl_context: Any = None) -> AsyncIterator[int]:
    """The server on a free port of this machine, in this process."""
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _main(first: str, between: str, tokens: str) -> None:
    delays = [float(one) for one in first.split(",")]
    async with serving(LlmServer(delays, float(between), int(tokens))) as port:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:4]))
