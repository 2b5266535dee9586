"""Paths that guests publish, one rule for who reads the files and who writes a proxy's words; and
how often they may be asked.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

OWN = "/.phoenix"
"""Paths of a proxy that are Phoenix's own, such as the one that tells its health."""

_PATH = re.compile(r"/[A-Za-z0-9._~%@:+,!*/-]*")
_NOT_MEANT = re.compile(r"%(?:2[Ff4]|5[Cc]|(?![0-9A-Fa-f]{2}))")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests `per` second or minute, and `burst` at once, of each key or address."""

    requests: int
    per: Literal["second", "minute"]
    burst: int
    by: Literal["key", "address"]


def refusal(path: str) -> str:
    """Why a path can't be published; empty where it can.

    Narrow, since it ends in a proxy's configuration, where other characters are syntax.
    """
    if not _PATH.fullmatch(path):
        return "it starts with / and holds only letters, digits and ._~%@:+,!*/-"
    decoded = meant(path)
    if decoded is None or not decoded.isprintable() or _NOT_MEANT.search(path):
        return "each % stands with two digits for a character that is printed, but not / $ or \\"
    if "//" in path or {".", ".."} & {*decoded.split("/")}:
        return "a proxy resolves //, /./ and /../ before it looks: write where it leads to"
    if decoded == OWN or decoded.startswith(f"{OWN}/"):
        return f"{OWN} is Phoenix's own"
    return ""


def meant(path: str) -> str | None:
    """The path with its % resolved, as a proxy compares it (RFC 3986, 6.2.2); None: no UTF-8."""
    try:
        return unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return None
