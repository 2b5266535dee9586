"""What must hold for any bytes as a file of the folder: the standard library's values, places in
the text, and every difference from strict JSON explained.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from phoenix_hypervisor.config.document import Document, read_document
from phoenix_hypervisor.config.reader import Reader
from phoenix_hypervisor.config.tokens import MAX_DEPTH, MAX_FAULTS
from phoenix_hypervisor.model.problem import Problem

FILE = "x.json"
BUDGET_S = 2.0
"""Of processor time for one case of at most a quarter of a megabyte."""

_OWN_REASONS = ("duplicate key", "NUL", "surrogate", "far too long", "too large", "nested deeper")


class Slow(AssertionError):
    """A case took more than its time: something in it grows faster than the text does."""


class Watch:
    """Raises `Slow` where the block takes more processor time than it may."""

    def __init__(self, what: str, budget_s: float = BUDGET_S) -> None:
        self._what = what
        self._budget_s = budget_s

    def __enter__(self) -> None:
        self._begin = time.process_time()

    def __exit__(self, kind: object, *rest: object) -> None:
        took = time.process_time() - self._begin
        if kind is None and took > self._budget_s:
            raise Slow(f"{self._what} took {took:.1f} s")


def any_bytes(data: bytes, scratch: Path) -> Document:
    """Reads the bytes as a file; raises where something does not hold."""
    (scratch / FILE).write_bytes(data)
    with Watch("reading"):
        document = read_document(scratch, FILE)
    assert document is not None
    lines = lines_of(data)
    assert len(document.problems) <= MAX_FAULTS + 3
    for problem in document.problems:
        placed(problem, lines)
    errors = [problem for problem in document.problems if problem.severity == "error"]
    try:
        wanted = json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        byte_order_mark = data.startswith(b"\xef\xbb\xbf")  # read all the same, with a warning
        assert errors or byte_order_mark, "strict JSON refuses it, and nothing was said"
        return document
    if errors:
        _explained(errors, data.decode())
        return document
    assert repr(document.value) == repr(wanted)
    reader = Reader(data.decode())  # which is only asked where something is wrong
    assert repr(reader.read()[0]) == repr(wanted)
    assert reader.faults == []
    _marked(document, data.decode())
    return document


def placed(problem: Problem, lines: list[str] | None) -> None:
    """A problem is one line of text, at a place of the file."""
    assert problem.message
    assert "\n" not in problem.message + problem.hint
    if lines is None:
        return
    if problem.line:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def lines_of(data: bytes) -> list[str] | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _explained(errors: list[Problem], text: str) -> None:
    """Only what is told is refused, and it is really there."""
    for error in errors:
        if "must hold an object" in error.message:
            assert not isinstance(json.loads(text), dict)
            continue
        known = any(reason in error.message for reason in _OWN_REASONS)
        assert known, f"strict JSON takes it; this says: {error.message}"
    told = " ".join(error.message for error in errors)
    if "duplicate key" in told:
        assert _has_twins(text)
    texts = list(_texts(json.loads(text, object_pairs_hook=_Pairs)))
    if "NUL" in told:
        assert any("\0" in one for one in texts)
    if "surrogate" in told:
        assert any("\ud800" <= letter <= "\udfff" for one in texts for letter in one)
    if "nested deeper" in told:
        assert text.count("[") + text.count("{") > MAX_DEPTH


class _Pairs(list[tuple[str, Any]]):
    """An object with all its members, also those of the same name."""


def _has_twins(text: str) -> bool:
    found = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        # Halves of pairs fall away, so that names with them may become the same.
        names = [name.encode("utf-8", "ignore") for name, _ in pairs]
        found |= len({*names}) < len(names) or any(b"\0" in name for name in names)
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, _Pairs):
        for key, inside in value:
            yield key
            yield from _texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside)


def _marked(document: Document, text: str) -> None:
    """Every mark is where its value stands."""
    decode = json.JSONDecoder().raw_decode
    todo: list[tuple[Any, Any]] = [(document.value, document.mark)]
    for value, mark in todo[:200]:
        assert repr(decode(text, mark[1])[0]) == repr(value)
        if isinstance(value, dict):
            for key, inside in value.items():
                assert decode(text, mark[2][key][0])[0] == key
                todo.append((inside, mark[2][key]))
        elif isinstance(value, list):
            todo.extend(zip(value, mark[2], strict=True))
