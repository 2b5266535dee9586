"""The targets by name: each takes a fuzzer's bytes, and raises where something does not hold."""

from collections.abc import Callable
from pathlib import Path

from tests.fuzz import folders, kept, pumped, reading, words
from tests.fuzz.choices import FromBytes

Target = Callable[[bytes, Path], object]


def _words(data: bytes, scratch: Path) -> None:
    text = data.decode("utf-8", "replace")
    if "\0" not in text:  # no reader of the files lets one through
        words.any_word(text)
        kept.any_secret(text, scratch)


TARGETS: dict[str, Target] = {
    "reader": reading.any_bytes,
    "repeats": lambda data, scratch: pumped.any_repeat(FromBytes(data), scratch),
    "folder": lambda data, scratch: folders.any_folder(FromBytes(data), scratch),
    "change": lambda data, scratch: folders.any_change(FromBytes(data), scratch),
    "plan": lambda data, scratch: kept.any_plan(FromBytes(data), scratch),
    "node": lambda data, scratch: kept.any_state(FromBytes(data), scratch),
    "secrets": kept.any_secrets,
    "words": _words,
}

LENGTHS = {"reader": 4096, "folder": 512, "change": 512, "plan": 256, "node": 256, "words": 256}
"""The longest case in bytes; 64 for the others."""

SHARES = {
    "reader": 8,
    "folder": 6,
    "change": 4,
    "plan": 3,
    "node": 3,
    "words": 3,
    "repeats": 2,
    "secrets": 1,
}
"""Parts of the time; of thirty minutes, so many."""

SEEDS = ("tests/unit/config/corpus", "tests/unit/config/good", "tests/fuzz/example")
"""Folders whose JSON files the reader's corpus starts with."""
