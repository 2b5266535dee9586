"""An HTTP/1.1 reply out of timed pieces of what came over the wire, its body's times kept.

Source: RFC 9112, 6 and 7.1. `http.client` reads the same, but forgets when each piece came.
"""

from collections.abc import Iterable, Sequence
from email.parser import BytesParser
from email.policy import HTTP

from phoenix_hypervisor.verify.answered import No
from phoenix_hypervisor.verify.llm.exchange import Exchange

Pieces = Sequence[tuple[float, bytes]]

_END_OF_HEAD = b"\r\n\r\n"
_INTERIM = range(100, 200)
_HEAD_LIMIT = 65536


def reply(where: str, pieces: Pieces) -> Exchange:
    """The reply that these pieces are. Raises `No` for one that breaks off or is no HTTP."""
    ended_s = pieces[-1][0] if pieces else 0.0
    while True:
        head, pieces = _head(where, pieces)
        first, _, fields = head.partition(b"\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():  # noqa: PLR2004 - version and status
            raise No(f"{where} does not speak HTTP")
        status = int(words[1])
        if status not in _INTERIM:
            break
    headers = BytesParser(policy=HTTP).parsebytes(fields, headersonly=True)
    if str(headers.get("Transfer-Encoding", "")).lower().endswith("chunked"):
        body = _unchunked(where, pieces)
    else:
        body = tuple(pieces)
        length = str(headers.get("Content-Length", ""))
        if length.isdigit() and sum(len(data) for _, data in body) < int(length):
            raise No(f"the answer of {where} broke off")
    kind = str(headers.get("Content-Type", ""))
    return Exchange(where, status, kind, body, ended_s)


def _head(where: str, pieces: Pieces) -> tuple[bytes, Pieces]:
    """The status line and headers, and the pieces after them."""
    data = b""
    for number, (at_s, piece) in enumerate(pieces):
        data += piece
        head, found, rest = data.partition(_END_OF_HEAD)
        if found:
            return head, [*([(at_s, rest)] if rest else []), *pieces[number + 1 :]]
        if len(data) > _HEAD_LIMIT:
            break
    raise No(f"{where} does not speak HTTP" if data else f"no answer from {where}")


def _unchunked(
    where: str, pieces: Iterable[tuple[float, bytes]]
) -> tuple[tuple[float, bytes], ...]:
    found: list[tuple[float, bytes]] = []
    waiting, left, skip = b"", 0, 0  # bytes not yet read; of the chunk; of the line's end after it
    for at_s, piece in pieces:
        waiting += piece
        while waiting:
            if left:
                data, waiting = waiting[:left], waiting[left:]
                left -= len(data)
                skip = 0 if left else 2
                found.append((at_s, data))
                continue
            if skip:
                cut = min(skip, len(waiting))
                skip, waiting = skip - cut, waiting[cut:]
                continue
            line, end, rest = waiting.partition(b"\r\n")
            if not end:
                break
            waiting = rest
            try:
                left = int(line.partition(b";")[0], 16)
            except ValueError as error:
                raise No(f"{where} does not speak HTTP") from error
            if not left:
                return tuple(found)
    raise No(f"the answer of {where} broke off")
