"""A text with one part repeated very often: what takes more than linear time shows here."""

from pathlib import Path

from tests.fuzz.choices import Choices, pick
from tests.fuzz.reading import any_bytes

LONGEST = 200_000
PARTS = (
    '"', "'", "{", "}", "[", "]", ":", ",", "\\", "//", "/*", "*/", "#", "\n", " ", "\t", "true",
    "NaN", "-", "1", ".5", "1e9", "a", "\\u", "\\ud83d", "\\n", "\ufeff", "\u201c", "\x00", '"a"',
    '"b": 1', "=", ";", "{}", "[]", "{},", "[],", '{"a":', '"a":{},', "1,", "é", "\U0001f600", "\r",
    "\u00a0", "'a',",
)  # fmt: skip


def any_repeat(choices: Choices, scratch: Path) -> None:
    """Reads such a text as a file."""
    before, part, after = (
        "".join(pick(choices, PARTS) for _ in range(choices.below(5))) for _ in range(3)
    )
    text = before + part * (LONGEST // max(len(part), 1)) + after
    any_bytes(text.encode(), scratch)
