"""Server-sent events out of bytes, however they are cut.

Source: the HTML standard, 9.2.6 "Interpreting an event stream".
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its lines of data joined by newlines, and its type (`message` by default)."""

    data: str
    type: str = "message"


class Events:
    """Takes the bytes of a stream as they come and gives the events that are complete."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._data: list[str] = []
        self._type = ""
        self._began = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that end in these bytes."""
        yield from self._take(self._decode(data))

    def end(self) -> Iterator[Event]:
        """The last event, where the stream ends without the empty line that ends an event.

        The standard drops such a one; here it counts, since its data has come.
        """
        yield from self._take(self._decode(b"", final=True) + "\n\n")

    def _take(self, text: str) -> Iterator[Event]:
        if not self._began and text:
            self._began, text = True, text.removeprefix(_BOM)
        text = self._rest + text
        # A carriage return at the end may be the first half of a line's end.
        held = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._rest = rest + held
        for line in lines:
            yield from self._line(line)

    def _line(self, line: str) -> Iterator[Event]:
        if not line:
            if self._data:
                yield Event("\n".join(self._data), self._type or "message")
            self._data, self._type = [], ""
            return
        name, _, value = line.partition(":")  # a comment is a field without a name
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
