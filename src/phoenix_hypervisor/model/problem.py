"""A problem of the user's files, told so that it can be mended without searching."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or worth knowing.

    `file` is relative to the folder; `line` and `column` count from 1 (0: the file as a whole);
    `pointer` is a JSON pointer (RFC 6901).
    """

    severity: Severity
    file: str
    line: int
    column: int
    pointer: str
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, object]:
        """The shape that `phoenix --json validate` prints."""
        return {
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "pointer": self.pointer,
            "message": self.message,
            "hint": self.hint,
        }
