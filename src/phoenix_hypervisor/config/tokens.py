"""The patterns and words of JSON, apart from the reader so that it stays readable.

Grammar: RFC 8259. What people write instead (comments, single quotes, bare keys, Python's
constants) has patterns of its own, so that the reader can name the mistake and go on.
"""

import re
from dataclasses import dataclass

MAX_DEPTH = 64
"""Deeper nesting than this is a mistake or an attack: the deepest real file has 7 levels."""

MAX_FAULTS = 40
"""After so many syntax problems the rest of a file is noise."""

TOKEN = re.compile(
    r"[ \t\n\r]*(?:"
    r'"(?P<plain>[^"\\\x00-\x1f]*)"'
    r"|(?P<mark>[{}\[\]:,])"
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?P<broken>\.[0-9]+)?(?P<power>[eE][+-]?[0-9]+)?)"
    r"(?![\w.+\-])"
    r"|(?P<word>true|false|null)(?![\w\-])"
    r'|"(?P<escaped>(?:[^"\\\x00-\x1f]|\\.)*)"'
    r")"
)
"""One token after white space. Never matches where something is wrong."""

BLANK = re.compile(r"[ \t\n\r]*")
ODD_BLANK = re.compile(r"[\s\ufeff\u200b\u2060]+")
COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*(?:.|\n)*?(?:\*/|\Z)")
SINGLE_QUOTED = re.compile(r"'((?:[^'\\\n]|\\.)*)'")
CURLY_QUOTED = re.compile('[\u201c\u201d\u201e]([^"\u201c\u201d\n]*)[\u201c\u201d"]')
OPEN_TEXT = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.|[\t\x00-\x09\x0b\x0c\x0e-\x1f])*')
BARE_KEY = re.compile(r"[A-Za-z_$][\w$.\-]*(?=[ \t]*:)")
BARE_WORD = re.compile(r"[^\s,:{}\[\]\"']+")
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x1f]")

ESCAPES = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
LOOKALIKES: dict[str, tuple[str, bool | None]] = {
    "True": ("true", True),
    "TRUE": ("true", True),
    "yes": ("true", True),
    "on": ("true", True),
    "False": ("false", False),
    "FALSE": ("false", False),
    "no": ("false", False),
    "off": ("false", False),
    "None": ("null", None),
    "NULL": ("null", None),
    "nil": ("null", None),
    "undefined": ("null", None),
}
NOT_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity", "+Infinity", "nan", "inf", "-inf"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One break of the grammar at an offset of the text.

    `sure` is False where the reader could only guess how the text was meant: what it read then
    must not be judged any further. `guessed`: only the value at `path` is a guess.
    """

    offset: int
    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    sure: bool = True
    guessed: bool = False
