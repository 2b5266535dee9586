"""A service of one's own between the database, the cache and the model: it shortens texts.

Where they are comes from the environment: DB_HOST, DB_PASSWORD, REDIS_HOST, REDIS_PASSWORD,
LLM_HOST and LLM_API_KEY.
"""

import hashlib
import os
from typing import Annotated

import httpx
import psycopg
import redis.asyncio as redis
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, StringConstraints

MODEL = "qwen2.5-7b"
KEPT_S = 24 * 3600
app = FastAPI(title="Summaries", docs_url=None, redoc_url=None)
cache = redis.Redis(
    host=os.environ["REDIS_HOST"], password=os.environ["REDIS_PASSWORD"], decode_responses=True
)


class Text(BaseModel):
    """What is sent to be shortened."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class Summary(BaseModel):
    """The short form. `cached`: the model was not asked again."""

    summary: str
    cached: bool


@app.get("/health")
async def health() -> dict[str, str]:
    """Asks the database and the cache, since without them nothing works."""
    login = f"host={os.environ['DB_HOST']} dbname=app user=app connect_timeout=5"
    async with await psycopg.AsyncConnection.connect(
        login, password=os.environ["DB_PASSWORD"]
    ) as connection:
        await connection.execute("select 1")
    await cache.ping()
    return {"database": "ok", "cache": "ok"}


@app.post("/summaries")
async def summarise(text: Text) -> Summary:
    """One paragraph. 503 while the model can't be asked."""
    key = "summary:" + hashlib.sha256(text.text.encode()).hexdigest()
    if known := await cache.get(key):
        return Summary(summary=str(known), cached=True)
    message = f"Shorten this text to one paragraph:\n\n{text.text}"
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            reply = await client.post(
                f"http://{os.environ['LLM_HOST']}:8000/v1/chat/completions",
                headers={"Authorization": f"Bearer {os.environ['LLM_API_KEY']}"},
                json={
                    "model": MODEL,
                    "messages": [{"role": "user", "content": message}],
                    "max_tokens": 300,
                },
            )
            reply.raise_for_status()
            summary = str(reply.json()["choices"][0]["message"]["content"]).strip()
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise HTTPException(503, "the model can't be asked", {"Retry-After": "5"}) from error
    await cache.set(key, summary, ex=KEPT_S)
    return Summary(summary=summary, cached=False)
