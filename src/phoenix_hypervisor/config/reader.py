"""A JSON reader that keeps the place of every key and value and goes on after a mistake.

The standard library's reader stops at the first mistake, keeps no places and lets duplicate keys
pass, so a person would mend a file one error at a time. Values are the same as the standard
library's for every valid document (a property test proves it).
"""

import re
from typing import Any

from phoenix_hypervisor.config.brackets import askew
from phoenix_hypervisor.config.strings import unescape
from phoenix_hypervisor.config.tokens import (
    BARE_KEY,
    BARE_WORD,
    COMMENT,
    CONSTANTS,
    CURLY_QUOTED,
    LOOKALIKES,
    MAX_DEPTH,
    MAX_FAULTS,
    NOT_NUMBERS,
    ODD_BLANK,
    OPEN_TEXT,
    SINGLE_QUOTED,
    TOKEN,
    Fault,
)

Path = tuple[str | int, ...]
Mark = tuple[int, int, Any]
"""Offsets of a value's key (-1 in lists) and of the value, and the marks of what is inside: a
dict for an object, a list for an array, else None."""

_CLOSES = {"{": "}", "[": "]"}
_PIECE = tuple[str, Any, int]
"""A token: its kind, its value and its offset."""


class StopReading(Exception):
    """The text can't be understood any further; the faults tell why."""


class Reader:
    """Reads one text; afterwards `faults` holds all breaks of the grammar, in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._path: list[str | int] = []
        self._opened: list[tuple[str, int]] = []
        self._pairs: list[tuple[int, int]] = []
        self.faults: list[Fault] = []

    def read(self) -> tuple[Any, Mark]:
        """The value and its marks; None where the text is hopeless."""
        try:
            piece = self._next()
            if piece[0] == "end":
                self._fault(
                    0, "the file is empty", "write at least {}, or remove the file", sure=False
                )
                return None, (-1, 0, None)
            value, mark = self._value(piece, -1)
            piece = self._next()
            if piece[0] != "end" and all(fault.sure for fault in self.faults):
                self._fault(
                    piece[2],
                    "there is more text after the end of the document",
                    askew(self._text, self._pairs) or "a file holds one JSON value",
                    sure=False,
                )
        except StopReading:
            return None, (-1, 0, None)
        return value, mark

    def _fault(
        self,
        offset: int,
        message: str,
        hint: str = "",
        *,
        sure: bool = True,
        guessed: bool = False,
    ) -> None:
        self.faults.append(Fault(offset, tuple(self._path), message, hint, sure, guessed))
        if len(self.faults) >= MAX_FAULTS:
            last = "too many mistakes: the rest was not read"
            self.faults.append(Fault(offset, (), last, "mend these first", sure=False))
            raise StopReading

    # Tokens.

    def _next(self) -> _PIECE:
        match = TOKEN.match(self._text, self._at)
        if match is None:
            return self._odd()
        self._at = match.end()
        kind = match.lastgroup
        if kind == "plain":
            return "text", match["plain"], match.start("plain") - 1
        if kind == "mark":
            return match["mark"], None, match.start("mark")
        if kind == "word":
            return "value", CONSTANTS[match["word"]], match.start("word")
        if kind == "escaped":
            start = match.start("escaped")
            text, faults = unescape(match["escaped"])
            for offset, message, hint in faults:
                self._fault(start + offset, message, hint)
            return "text", text, start - 1
        return "value", self._number(match), match.start("number")

    def _number(self, match: re.Match[str]) -> int | float:
        text = match["number"]
        if match["broken"] is None and match["power"] is None:
            if len(text) > 300:  # noqa: PLR2004 - far above any count, far below int()'s own limit
                message, hint = "this number is far too long", "write a smaller one"
                self._fault(match.start("number"), message, hint, guessed=True)
                return 0
            return int(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            message, hint = f"the number {text[:20]} is too large", "write a smaller one"
            self._fault(match.start("number"), message, hint, guessed=True)
            return 0.0
        return number

    def _odd(self) -> _PIECE:
        """What stands where no token of JSON does: names the mistake and reads what was meant."""
        text = self._text
        start = self._at
        while start < len(text) and text[start] in " \t\n\r":
            start += 1
        self._at = start
        if start >= len(text):
            return "end", None, len(text)
        if match := COMMENT.match(text, start):
            self._at = match.end()
            self._fault(
                start, "JSON has no comments", 'put the remark under a key that starts with "_"'
            )
            return self._next()
        if match := ODD_BLANK.match(text, start):
            self._at = match.end()
            code = f"U+{ord(text[start]):04X}"
            self._fault(
                start, f"the blank character {code} is not allowed here", "use plain blanks"
            )
            return self._next()
        for pattern in (SINGLE_QUOTED, CURLY_QUOTED):
            if match := pattern.match(text, start):
                self._at = match.end()
                self._fault(start, "text must stand in double quotes", 'write " on both sides')
                return "text", unescape(match[1].replace("\\'", "'"))[0], start
        if text[start] == '"':
            return self._open_text(start)
        if text[start] in ";=":
            self._at = start + 1
            return "bare", text[start], start
        return self._bare(start)

    def _open_text(self, start: int) -> _PIECE:
        match = OPEN_TEXT.match(self._text, start)
        end = match.end() if match else start + 1
        if self._text[end : end + 1] == '"':
            self._at = end + 1
            body, faults = unescape(self._text[start + 1 : end])
            for offset, message, hint in faults:
                self._fault(start + 1 + offset, message, hint)
            return "text", body, start
        body = self._text[start + 1 : end].rstrip(" ,\r")
        self._at = start + 1 + len(body)  # a comma at the line's end was meant as one
        self._fault(start, "this text is not closed on its line", 'add the closing "', guessed=True)
        return "text", body, start

    def _bare(self, start: int) -> _PIECE:
        match = BARE_KEY.match(self._text, start) or BARE_WORD.match(self._text, start)
        word = match[0] if match else self._text[start]
        self._at = start + len(word)
        if word in LOOKALIKES and match is not None and match.re is BARE_WORD:
            right, value = LOOKALIKES[word]
            self._fault(start, f"`{word}` is not JSON", f"write {right}", guessed=True)
            return "value", value, start
        if word in NOT_NUMBERS:
            hint = "write a number, or leave the key out"
            self._fault(start, f"`{word}` is not a number in JSON", hint, guessed=True)
            return "value", None, start
        return "bare", word, start

    # Values.

    def _value(self, piece: _PIECE, key: int) -> tuple[Any, Mark]:
        kind, value, offset = piece
        if kind in ("text", "value"):
            return value, (key, offset, None)
        if kind == "{":
            self._enter(kind, offset)
            items, inside = self._object()
            return items, (key, offset, inside)
        if kind == "[":
            self._enter(kind, offset)
            rows, places = self._array()
            return rows, (key, offset, places)
        if kind == "bare":
            self._bare_value(value, offset)
            return None if value[0] in "0123456789.+-" else value, (key, offset, None)
        if kind == "end":
            self._ended()
        hint = "write the value, or remove the key"
        self._fault(offset, "a value is missing here", hint, guessed=True)
        self._at = offset
        return None, (key, offset, None)

    def _bare_value(self, word: str, offset: int) -> None:
        shown = word if len(word) <= 30 else word[:30] + "…"  # noqa: PLR2004 - enough to recognise it
        if word[0] in "0123456789.+-":
            hint = "write it like 42, -1 or 0.5"
            self._fault(offset, f"`{shown}` is not a number in JSON", hint, guessed=True)
        else:
            hint = f'write "{shown}"'
            self._fault(offset, f"`{shown}` must stand in double quotes", hint, guessed=True)

    def _enter(self, bracket: str, offset: int) -> None:
        self._opened.append((bracket, offset))
        if len(self._opened) > MAX_DEPTH:
            hint = "look for brackets that are never closed: real files have fewer than 10 levels"
            self._fault(offset, f"nested deeper than {MAX_DEPTH} levels", hint, sure=False)
            raise StopReading

    def _ended(self) -> None:
        bracket, offset = self._opened[-1] if self._opened else ("{", 0)
        line = self._text.count("\n", 0, offset) + 1
        self._fault(
            len(self._text.rstrip()),
            f"the file ends, but the `{bracket}` of line {line} is not closed",
            askew(self._text, self._pairs) or f"add the missing `{_CLOSES[bracket]}`",
            sure=False,
        )
        raise StopReading

    def _closes(self, kind: str, offset: int) -> bool:
        """Whether this bracket ends the innermost object or array, be it the wrong one."""
        bracket, start = self._opened[-1]
        right = _CLOSES[bracket]
        if kind == right:
            self._opened.pop()
            self._pairs.append((start, offset))
            return True
        if kind not in ("}", "]"):
            return False
        line = self._text.count("\n", 0, start) + 1
        self._fault(
            offset,
            f"`{kind}` stands where the `{bracket}` of line {line} must be closed",
            f"write `{right}`, or add it before",
            sure=False,
        )
        self._opened.pop()
        if any(_CLOSES[other] == kind for other, _ in self._opened):
            self._at = offset  # the inner closing bracket was forgotten: this one is the outer's
        return True

    def _array(self) -> tuple[list[Any], list[Mark]]:
        values: list[Any] = []
        marks: list[Mark] = []
        comma = -1
        while True:
            piece = self._next()
            kind, _, offset = piece
            if self._closes(kind, offset):
                self._trailing(comma, "]")
                return values, marks
            if kind == ",":
                self._fault(offset, "one comma too many", "remove it")
                continue
            self._path.append(len(values))
            value, mark = self._value(piece, -1)
            self._path.pop()
            values.append(value)
            marks.append(mark)
            comma = self._comma()

    def _object(self) -> tuple[dict[str, Any], dict[str, Mark]]:
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        comma = -1
        while True:
            kind, key, offset = self._next()
            if self._closes(kind, offset):
                self._trailing(comma, "}")
                return values, marks
            if kind == ",":
                self._fault(offset, "one comma too many", "remove it")
                continue
            if kind == "end":
                self._ended()
            key = self._key(kind, key, offset)
            self._path.append(key)
            if key in marks:
                self._again(key, marks[key][0], offset)
            values[key], marks[key] = self._member(offset)
            self._path.pop()
            comma = self._comma()

    def _key(self, kind: str, key: Any, offset: int) -> str:
        if kind == "text":
            return str(key)
        if kind == "bare":
            self._fault(offset, f"the key `{key}` must stand in double quotes", f'write "{key}"')
            return str(key)
        if kind == "value":
            shown = self._text[offset : self._at].strip()
            self._fault(offset, "a key must be text in double quotes", f'write "{shown}"')
            return shown
        self._fault(offset, "a key is missing here", 'members look like "key": value', sure=False)
        raise StopReading

    def _member(self, key_offset: int) -> tuple[Any, Mark]:
        end = self._at
        piece = self._next()
        if piece[0] == ":":
            return self._value(self._next(), key_offset)
        if piece[0] == "bare" and piece[1] == "=":
            hint = 'members look like "key": value'
            self._fault(piece[2], "a colon must stand here, not `=`", hint)
            return self._value(self._next(), key_offset)
        if piece[0] in ("text", "value", "{", "["):
            self._fault(end, "a colon is missing after the key", 'members look like "key": value')
            return self._value(piece, key_offset)
        return self._value(piece, key_offset)

    def _again(self, key: str, first: int, offset: int) -> None:
        line = self._text.count("\n", 0, first) + 1
        self._fault(
            offset,
            f'duplicate key "{key}": it stands in line {line} already',
            "only one can hold: remove or rename one of them",
        )

    def _comma(self) -> int:
        """Takes the comma after a value; its offset, or -1 before a closing bracket."""
        end = self._at
        match = TOKEN.match(self._text, end)
        if match is not None and match.lastgroup == "mark":
            if match["mark"] == ",":
                self._at = match.end()
                return match.start("mark")
            if match["mark"] in "}]":
                return -1
        kind, word, offset = self._next()
        if kind == ",":
            return offset
        if kind == "bare" and word == ";":
            self._fault(offset, "a comma must stand here, not `;`", "write a comma")
            return -1
        self._at = offset
        if kind not in ("}", "]", "end"):
            self._fault(end, "a comma is missing after this value", "add a comma")
        return -1

    def _trailing(self, comma: int, closing: str) -> None:
        if comma >= 0:
            self._fault(comma, f"the comma before `{closing}` is one too many", "remove it")
