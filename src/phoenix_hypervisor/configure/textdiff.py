"""Two versions of a file as a diff that people may see: what could be a secret is hidden. Pure."""

import difflib
import re
from collections.abc import Callable

MASK = "[hidden]"

_CONTEXT = 2
_HASHES = re.compile(
    r"SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+"
    r"|\$(?:y|gy|7|6|5|1|2[abxy])\$[./A-Za-z0-9$,=+-]{8,}"
)
_LOGIN = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_WORD = re.compile(r"[^\s\"'=:;,(){}<>\[\]]+")
# Words that are no secret even where nothing else tells so: sizes, networks, switches.
_PLAIN = re.compile(
    r"\d{1,3}[a-zA-Z%]{0,2}|\d+(?:k|m|g|kb|mb|gb|ms|s|min|h|d)|\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?"
    r"|true|false|on|off|yes|no|none|all|[#*|&/-]+",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """The text without passwords' hashes and without logins in URLs."""
    return _LOGIN.sub(MASK, _HASHES.sub(MASK, text))


def diff(before: str, after: str, *, redact: Callable[[str], str], private: bool) -> str:
    """A whole unified diff without its head; empty where only the ends of lines differ.

    `redact` takes known secrets out. `private`: the file is not for everybody or holds a secret,
    so what it held before may be a secret that nobody knows any more; of its old lines only words
    that the new text holds as well, and plain ones such as sizes, are shown.
    """
    old, new = redact(before), redact(after)
    if private:
        known = set(_WORD.findall(new))
        there = set(new.splitlines())
        old = "\n".join(line if line in there else _hide(line, known) for line in old.splitlines())
    lines = list(
        difflib.unified_diff(
            mask(old).splitlines(), mask(new).splitlines(), lineterm="", n=_CONTEXT
        )
    )[2:]
    return "\n".join(lines)


def is_text(data: bytes) -> bool:
    """Whether the bytes are a text that can be compared line by line."""
    return b"\0" not in data


def _hide(line: str, known: set[str]) -> str:
    def word(found: re.Match[str]) -> str:
        text = found[0]
        return text if text in known or _PLAIN.fullmatch(text) else MASK

    return _WORD.sub(word, line)
