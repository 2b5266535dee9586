"""Questions: `/api/ask` answers from the projects that fit, `/api/sources` only names those."""

import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from knowledge import Knowledge
from models import Models, ModelsAway
from psycopg import Error
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from words import storable

LONGEST = 64
"""Tokens of an answer."""
_SYSTEM = (
    "You are the guide of a portfolio of software projects. "
    "Answer from the text that is given, in one or two short sentences."
)
_SENTENCE = re.compile(r"(?<=[.!?])\s")
asking = APIRouter(prefix="/api")


Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300),
    AfterValidator(storable),
]


class Question(BaseModel):
    """What is sent to ask. `stream`: the answer comes as it is made, as server-sent events."""

    model_config = ConfigDict(extra="forbid")

    question: Words
    stream: bool = False


class Source(BaseModel):
    """A project that an answer is made from."""

    id: int
    title: str
    url: str | None


class Answer(BaseModel):
    """The whole answer. Times in seconds, from the question on."""

    answer: str
    sources: list[Source]
    tokens: int
    first_token_s: float
    seconds: float


@asking.get("/sources")
async def sources(question: Annotated[Words, Query()], request: Request) -> list[Source]:
    """The projects that an answer would be made from."""
    rows = await request.state.knowledge.fitting(question)
    return [Source.model_validate(row) for row in rows]


@asking.post("/ask", response_model=None)
async def ask(question: Question, request: Request) -> Answer | StreamingResponse:
    """Finds the projects that fit, and has the model answer from them."""
    begin = time.perf_counter()
    knowledge: Knowledge = request.state.knowledge
    rows = await knowledge.fitting(question.question)
    said = _said(question.question, rows, request.state.models, begin)
    if question.stream:
        return StreamingResponse(_events(said), media_type="text/event-stream")
    texts, last = [], {}
    async for name, value in said:
        if name == "token":
            texts.append(value["text"])
        else:
            last |= value
    return Answer.model_validate({"answer": "".join(texts).strip(), **last})


async def _said(
    question: str, rows: list[dict[str, Any]], models: Models, begin: float
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """`sources`, then a `token` for each piece, then `done` with the numbers."""
    yield (
        "sources",
        {"sources": [{key: row[key] for key in ("id", "title", "url")} for row in rows]},
    )
    first, pieces, tokens = 0.0, 0, None
    async for piece in models.answer(messages(question, rows), LONGEST):
        first = first or time.perf_counter() - begin
        tokens = piece.tokens if piece.tokens is not None else tokens
        if piece.text:
            pieces += 1
            yield "token", {"text": piece.text}
    took = time.perf_counter() - begin
    counted = pieces if tokens is None else tokens
    yield "done", {"tokens": counted, "first_token_s": round(first, 3), "seconds": round(took, 3)}


async def _events(said: AsyncIterator[tuple[str, dict[str, Any]]]) -> AsyncIterator[str]:
    """Server-sent events (WHATWG HTML, 9.2). What goes wrong midway is an event too."""
    try:
        async for name, value in said:
            yield f"event: {name}\ndata: {json.dumps(value)}\n\n"
    except (ModelsAway, Error) as error:
        told = str(error) if isinstance(error, ModelsAway) else "the database can't be reached"
        yield f"event: failed\ndata: {json.dumps({'detail': told})}\n\n"


def messages(question: str, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What the model is given: the best project whole, of the others a sentence, the question.

    A model this small mixes up two texts of the same length.
    """
    texts = [f"{row['title']}: {row['summary']}" for row in rows]
    more = " ".join(_SENTENCE.split(text, maxsplit=1)[0] for text in texts[1:])
    text = " ".join([*texts[:1], *([f"({more})"] if more else [])])
    asked = f"{text}\n\nUsing only the text above: {question}" if rows else question
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": asked}]
