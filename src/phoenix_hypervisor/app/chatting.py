"""Talks to a model of the stack through its route, as clients do; the answer comes in pieces."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phoenix_hypervisor.app import bench
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

if TYPE_CHECKING:
    from phoenix_hypervisor.app.session import Session

_LIMIT_S = 300.0
_OK = 200
_MOST = 256 * 1024
_SHOWN = 300

Message = Mapping[str, str]


async def talk(
    session: "Session",
    word: str | None,
    model: str | None,
    messages: Sequence[Message],
    *,
    most_tokens: int,
) -> AsyncIterator[str]:
    """The answer's pieces. `word`: whose model (None: the only one there is); `model`: which.

    Raises `PhoenixError` where none comes, and `UsageError` for a model that is not for chats.
    """
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    found = bench.of_stack(
        session, word, model=model, via=None, api_key=None, at_once=1, timeout_s=_LIMIT_S
    )
    async with found as server:
        if server.kind != "chat":
            raise UsageError(f"{server.told} is not for chats", hint="choose another model")
        body = {
            "model": server.model,
            "messages": [dict(one) for one in messages],
            "max_tokens": most_tokens,
            "stream": True,
        }
        request = server.server.request("POST", "/chat/completions", body)
        scheme = "https" if request.tls else "http"
        headers = {**request.headers, "Host": request.host or request.address}
        url = f"{scheme}://{request.address}:{request.port}{request.path}"
        limit = aiohttp.ClientTimeout(total=_LIMIT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as client,
                client.post(
                    url,
                    data=request.body,
                    headers=headers,
                    server_hostname=request.host,
                    allow_redirects=False,  # it would lead this machine wherever the guest likes
                ) as answer,
            ):
                if answer.status != _OK:
                    raise PhoenixError(f"{server.told} answers {answer.status}")
                came = 0
                async for line in answer.content:
                    came += len(line)
                    if came > _MOST:
                        raise PhoenixError(f"{server.told} says more than can be shown")
                    if piece := _piece(line, server.told):
                        yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PhoenixError(f"{server.told} does not answer: {type(error).__name__}") from error
        except HttpProcessingError as error:  # such as a line without an end
            raise PhoenixError(f"{server.told} answers with what is no stream") from error


def _piece(line: bytes, told: str) -> str:
    """The text that one line of the stream brings; empty for all others.

    Raises `PhoenixError` for one that tells of an error.
    """
    text = line.decode(errors="replace").strip()
    if not text.startswith("data:") or text.endswith("[DONE]"):
        return ""
    try:
        found: Any = json.loads(text[5:])
    except ValueError:
        return ""
    if isinstance(found, dict) and found.get("error"):
        error = found["error"]
        why = error.get("message") if isinstance(error, dict) else error
        raise PhoenixError(f"{told} tells of an error: {str(why)[:_SHOWN]}")
    try:
        return str(found["choices"][0]["delta"].get("content") or "")
    except (LookupError, TypeError, AttributeError):
        return ""
