"""Makes an answer of a reply: what was said, how many tokens it has, and when they came."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from phoenix_hypervisor.verify.answered import No, first_line
from phoenix_hypervisor.verify.llm.exchange import Exchange, Refused, reason
from phoenix_hypervisor.verify.llm.question import Question
from phoenix_hypervisor.verify.llm.sse import Event, Events

_DONE = "[DONE]"
_TOO_MANY = 429  # RFC 6585, section 4
_OWN_QUESTIONS = (
    "the questions asked here count against the limit of their key too: give checks a key of "
    "their own, and a burst that is large enough"
)
_THOUGHT = ("reasoning_content", "reasoning")  # vLLM's and llama.cpp's word, and the newer one


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; all times are seconds since the request was begun.

    `first_s` and `last_s` are when the first and the last token came: both None where the answer
    is not streamed. `total_s` is its end. `tokens` of a chat are the completion's, else the
    prompt's; `counted` says whether the server told them, or the stream's chunks were counted.
    """

    total_s: float
    tokens: int = 0
    counted: Literal["usage", "chunks"] = "usage"
    first_s: float | None = None
    last_s: float | None = None
    text: str = ""
    prompt_tokens: int | None = None
    dimensions: int = 0
    ranked: int = 0


def read(question: Question, exchange: Exchange) -> Answer:
    """The answer to this question. Raises `No` where the server tells an error or nonsense."""
    _refuse_errors(exchange)
    if question.kind == "chat":
        return _stream(exchange) if exchange.is_stream else _whole_chat(exchange)
    content = exchange.json()
    try:
        if question.kind == "embedding":
            return _embedding(content, exchange)
        return _ranking(content, exchange, len(question.documents))
    except (KeyError, IndexError, TypeError) as error:
        raise _strange(exchange) from error


def _refuse_errors(exchange: Exchange) -> None:
    try:
        exchange.refuse_errors()
    except Refused as error:
        if error.status != _TOO_MANY:
            raise
        told = f"{error.message} ({_OWN_QUESTIONS})"
        raise Refused(error.status, told) from error


@dataclass(slots=True)
class _Chat:
    """What a stream has told so far."""

    where: str
    first_s: float | None = None
    last_s: float | None = None
    at_s: float = 0.0
    chunks: int = 0
    parts: list[str] = field(default_factory=list)
    usage: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False

    def take(self, at_s: float, event: Event) -> None:
        self.at_s = at_s
        if event.data == _DONE:
            self.complete = True
            return
        try:
            content = json.loads(event.data)
        except ValueError as error:
            shown = first_line(event.data)
            raise No(f"{self.where} streams {shown!r}, which is no JSON") from error
        if not isinstance(content, dict):
            raise No(f"{self.where} streams {first_line(event.data)!r}, which is no completion")
        if content.get("error") or event.type == "error":
            words = reason(content) or first_line(event.data)
            raise No(f"{self.where} broke off with an error: {words}")
        if isinstance(content.get("usage"), dict):
            self.usage = content["usage"]
        for choice in (content.get("choices") or [])[:1]:
            self._choice(at_s, choice)

    def _choice(self, at_s: float, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or {}
        text = delta.get("content") or ""
        if text or any(delta.get(word) for word in (*_THOUGHT, "tool_calls")):
            self.first_s = at_s if self.first_s is None else self.first_s
            self.last_s = at_s
            self.chunks += 1
            self.parts.append(text)
        if choice.get("finish_reason"):
            self.complete = True


def _stream(exchange: Exchange) -> Answer:
    chat, events = _Chat(exchange.where), Events()
    try:
        for at_s, data in exchange.pieces:
            for event in events.feed(data):
                chat.take(at_s, event)
        for event in events.end():
            chat.take(exchange.ended_s, event)
    except (AttributeError, TypeError) as error:
        raise _strange(exchange) from error
    if not chat.complete:
        raise No(f"the answer of {exchange.where} broke off after {chat.chunks} chunks")
    if chat.first_s is None:
        raise No(f"{exchange.where} gave an empty answer")
    told = _count(chat.usage, "completion_tokens")
    return Answer(
        total_s=chat.at_s,
        tokens=told or chat.chunks,
        counted="usage" if told else "chunks",
        first_s=chat.first_s,
        last_s=chat.last_s,
        text="".join(chat.parts),
        prompt_tokens=_count(chat.usage, "prompt_tokens"),
    )


def _whole_chat(exchange: Exchange) -> Answer:
    """An answer in one piece, of a server that can't stream."""
    content = exchange.json()
    try:
        message, usage = content["choices"][0]["message"], content.get("usage") or {}
        text = message.get("content") or ""
        said = text or any(message.get(word) for word in (*_THOUGHT, "tool_calls"))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _strange(exchange) from error
    if not said:
        raise No(f"{exchange.where} gave an empty answer")
    told = _count(usage, "completion_tokens")
    return Answer(
        total_s=exchange.ended_s,
        tokens=told or 1,
        counted="usage" if told else "chunks",
        text=text,
        prompt_tokens=_count(usage, "prompt_tokens"),
    )


def _embedding(content: Any, exchange: Exchange) -> Answer:
    vector = content["data"][0]["embedding"]
    numbers = isinstance(vector, list) and all(map(_is_number, vector))
    if not numbers or not any(vector):
        raise No(f"{exchange.where} gave no embedding, but {first_line(str(vector))}")
    told = _count(content.get("usage") or {}, "prompt_tokens")
    return Answer(
        total_s=exchange.ended_s, tokens=told or 0, prompt_tokens=told, dimensions=len(vector)
    )


def _ranking(content: Any, exchange: Exchange, documents: int) -> Answer:
    found = {one["index"] for one in content["results"] if _is_number(one["relevance_score"])}
    if found != set(range(documents)):
        raise No(f"{exchange.where} ranked {len(found)} of {documents} documents")
    usage = content.get("usage") or {}
    told = _count(usage, "prompt_tokens") or _count(usage, "total_tokens")
    return Answer(total_s=exchange.ended_s, tokens=told or 0, prompt_tokens=told, ranked=documents)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _count(usage: Mapping[str, Any], word: str) -> int | None:
    value = usage.get(word)
    return value if isinstance(value, int) else None


def _strange(exchange: Exchange) -> No:
    return No(f"{exchange.where} answers what is no completion: {first_line(exchange.text)!r}")
