"""A request and its reply with the times at which its pieces came: what both ways give."""

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol

from phoenix_hypervisor.verify.answered import No, first_line
from phoenix_hypervisor.verify.http import Request

REPLY_LIMIT = 8 * 1024 * 1024
"""Bytes of one reply that are read; one that never ends must not fill the memory."""

_OK = 200
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A reply. `pieces`: seconds since the request was begun, and the body's bytes that came then.

    `ended_s` is when its last bytes came.
    """

    where: str
    status: int
    content_type: str
    pieces: tuple[tuple[float, bytes], ...]
    ended_s: float

    @property
    def text(self) -> str:
        """The whole body."""
        return b"".join(data for _, data in self.pieces).decode("utf-8", errors="replace")

    @property
    def is_stream(self) -> bool:
        """Whether its body is a stream of events."""
        return self.content_type.lower().startswith("text/event-stream")

    def json(self) -> Any:
        """The body as JSON. Raises `No` for another status than 200, and where it is none."""
        self.refuse_errors()
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise No(f"{self.where} answers {first_line(self.text)!r}, which is no JSON") from error

    def refuse_errors(self) -> None:
        """Raises `Refused` with the server's own words for another status than 200."""
        if self.status != _OK:
            raise Refused(self.status, f"{self.where} answers {self.status}{_because(self.text)}")


class Way(Protocol):
    """How a request gets to a server."""

    async def send(self, request: Request) -> Exchange:
        """Sends it and reads the whole reply. Raises `No` where none comes or it breaks off."""


class Refused(No):
    """The server answered with an error; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def reason(content: Any) -> str:
    """What an error's JSON says in words: OpenAI's shape, and those of FastAPI, Ollama and others.

    Empty where it says nothing.
    """
    if isinstance(content, str):
        return first_line(content)
    if isinstance(content, list) and content:
        return reason(content[0])
    if isinstance(content, dict):
        for word in ("error", "message", "detail", "msg"):
            if content.get(word):
                return reason(content[word])
    return ""


def _because(text: str) -> str:
    try:
        words = reason(json.loads(text))
    except ValueError:
        words = first_line(_TAG.sub("\n", text))
    return f": {words}" if words else ""
