"""The application that the features' tests deploy: small, and it does what proxies find hard."""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/health")
@app.get("/api/health")
async def health() -> dict[str, object]:
    return {"ok": True, "says": os.environ.get("SAYS"), "pid": os.getpid()}


@app.get("/api/headers")
async def headers(request: Request) -> dict[str, str]:
    return dict(request.headers) | {"client": request.client.host if request.client else ""}


@app.get("/api/slow")
async def slow() -> dict[str, bool]:
    await asyncio.sleep(1.5)
    return {"ok": True}


@app.get("/api/stream")
async def stream() -> StreamingResponse:
    async def words() -> AsyncIterator[str]:
        for number in range(4):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.4)

    return StreamingResponse(words(), media_type="text/event-stream")


@app.websocket("/api/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text((await socket.receive_text()).upper())
    await socket.close()
