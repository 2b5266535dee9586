"""One file of the folder as it was read: its values, and the place of each of them."""

import re
import stat
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from phoenix_hypervisor.config import strict
from phoenix_hypervisor.config.reader import Mark, Reader
from phoenix_hypervisor.config.tokens import Fault
from phoenix_hypervisor.config.told import one_line
from phoenix_hypervisor.model.problem import Problem, Severity

Pointer = tuple[str | int, ...]

MAX_BYTES = 32 * 1024 * 1024
_NEWLINE = re.compile(r"\r\n|\n|\r")
_BOM = "\ufeff"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def pointer(path: Sequence[str | int]) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


@dataclass
class Document:
    """The values of one file with their places.

    `broken`: don't judge the values any further. `guessed`: pointers of values that the reader
    had to guess, after a mistake that is told already.
    """

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    problems: list[Problem] = field(default_factory=list)
    broken: bool = False
    guessed: set[str] = field(default_factory=set)

    @cached_property
    def starts(self) -> list[int]:
        """Where each line starts in the text."""
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    @cached_property
    def mark(self) -> Mark:
        """The places of all values. Most files have nothing to tell and never need them."""
        return Reader(self.text).read()[1] if self.text else (-1, 0, None)

    def place(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column (from 1) of a value, or of its key; of the nearest that is there."""
        mark = self.mark
        for step in path:
            try:
                mark = mark[2][step]
            except (KeyError, IndexError, TypeError):
                break
        return self.line_of(mark[0] if key and mark[0] >= 0 else mark[1])

    def raw(self, path: Sequence[str | int]) -> Any:
        """The value as it stands in the file, or None."""
        value: Any = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def problem(
        self,
        severity: Severity,
        path: Sequence[str | int],
        message: str,
        hint: str = "",
        *,
        key: bool = False,
    ) -> Problem:
        """A problem at a place of this file."""
        line, column = self.place(path, key=key)
        told = one_line(message), one_line(hint)
        return Problem(severity, self.file, line, column, pointer(path), *told)

    def line_of(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in the text."""
        row = bisect_right(self.starts, offset)
        return row, offset - self.starts[row - 1] + 1

    def take(self, text: str) -> None:
        """Reads the text: its values, places, and what breaks JSON's grammar."""
        if text.startswith(_BOM):
            text = " " + text[1:]  # keeps the columns
            message = "the file starts with a byte order mark"
            hint = "save it as UTF-8 without one"
            self.problems.append(Problem("warning", self.file, 1, 1, "", message, hint))
        self.text = text
        try:
            value = strict.read(text)
        except ValueError:
            value = self._with_faults()
        if isinstance(value, dict):
            self.value = value
        elif not self.broken:
            self.broken = True
            shown = "a list" if isinstance(value, list) else "a single value"
            self.problems.append(
                self.problem(
                    "error",
                    (),
                    f"the file must hold an object, but holds {shown}",
                    "start it with {",
                )
            )

    def _with_faults(self) -> Any:
        reader = Reader(self.text)
        value, self.mark = reader.read()
        self.problems.extend(self._told(fault) for fault in reader.faults)
        self.guessed = {pointer(fault.path) for fault in reader.faults if fault.guessed}
        self.broken = any(not fault.sure for fault in reader.faults)
        return value

    def _told(self, fault: Fault) -> Problem:
        line, column = self.line_of(fault.offset)
        path = pointer(fault.path)
        told = one_line(fault.message), one_line(fault.hint)
        return Problem("error", self.file, line, column, path, *told)


def read_document(folder: Path, file: str) -> Document | None:
    """Reads a file of the folder; None where it isn't there. Never raises for what is in it."""
    document = Document(file)
    path = folder / file
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            # A pipe or device would be waited for.
            return _hopeless(document, 0, 0, "the file can't be read: not a regular file", "")
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = error.strerror or str(error)
        return _hopeless(document, 0, 0, f"the file can't be read: {reason.lower()}", "")
    if len(data) > MAX_BYTES:
        size = len(data) // (1024 * 1024)
        return _hopeless(document, 0, 0, f"the file is far too large ({size} MiB)", "")
    if data.startswith(_WIDE):
        return _hopeless(document, 1, 1, "the file is UTF-16", "save it as UTF-8")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        good = data[: error.start].decode()
        line, column = Document(file, text=good).line_of(len(good))
        shown = f"0x{data[error.start]:02x}"
        return _hopeless(
            document, line, column, f"the byte {shown} is not UTF-8", "save the file as UTF-8"
        )
    document.take(text)
    return document


def _hopeless(document: Document, line: int, column: int, message: str, hint: str) -> Document:
    document.broken = True
    document.problems.append(Problem("error", document.file, line, column, "", message, hint))
    return document
