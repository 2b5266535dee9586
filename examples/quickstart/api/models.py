"""The language model and the embedding model, both asked over OpenAI's API.

Where they are comes from the environment: LLM_HOST, LLM_PORT and EMBEDDINGS_PORT, and LLM_MODEL
and LLM_API_KEY. Any server that speaks the API will do.
"""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

_LIMITS = httpx.Timeout(60.0, connect=5.0)


class ModelsAway(Exception):
    """A model can't be asked now. Its text is fit for people."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; `tokens` is given with the last one, which has no text."""

    text: str
    tokens: int | None = None


class Models:
    """Both models. Made once, closed at the end."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {os.environ['LLM_API_KEY']}"}, timeout=_LIMITS
        )
        host = f"http://{os.environ['LLM_HOST']}"
        self._chat = f"{host}:{os.environ['LLM_PORT']}/v1"
        self._embeddings = f"{host}:{os.environ['EMBEDDINGS_PORT']}/v1"
        self._name = os.environ["LLM_MODEL"]

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.aclose()

    async def embed(self, texts: list[str], *, query: bool) -> list[list[float]]:
        """A vector for each text. Raises `ModelsAway`."""
        body = {"model": "e5-query" if query else "e5-passage", "input": texts}
        try:
            reply = await self._client.post(f"{self._embeddings}/embeddings", json=body)
            reply.raise_for_status()
            return [each["embedding"] for each in reply.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ModelsAway("the embedding model can't be reached") from error

    async def answer(self, messages: list[dict[str, str]], longest: int) -> AsyncIterator[Piece]:
        """The answer piece by piece, of at most `longest` tokens. Raises `ModelsAway`."""
        body = {
            "model": self._name,
            "messages": messages,
            "max_tokens": longest,
            "temperature": 0,
            "frequency_penalty": 0.1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        url = f"{self._chat}/chat/completions"
        try:
            async with self._client.stream("POST", url, json=body) as reply:
                reply.raise_for_status()
                async for line in reply.aiter_lines():
                    if line.startswith("data:") and (said := line[5:].strip()) != "[DONE]":
                        for piece in _pieces(json.loads(said)):
                            yield piece
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ModelsAway("the language model can't be reached") from error


def _pieces(said: dict[str, Any]) -> list[Piece]:
    if "error" in said:
        raise ValueError(said["error"])
    texts = [choice["delta"].get("content") for choice in said.get("choices", ())]
    found = [Piece(text) for text in texts if text]
    if usage := said.get("usage"):
        found.append(Piece("", int(usage["completion_tokens"])))
    return found
