"""The quick way to read a text without mistakes gives what the careful one gives, or declines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.config import strict
from phoenix_hypervisor.config.document import Document
from phoenix_hypervisor.config.reader import Reader
from phoenix_hypervisor.config.tokens import MAX_DEPTH

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=20,
)
PIECES = st.sampled_from([*'{}[]:,"\\ 0-1.5eE+/#a', "null", "NaN", "\\u0000", "\\ud800", '"a"'])


def carefully(text: str) -> tuple[Any, int]:
    """The value, and how many faults there are."""
    reader = Reader(text)
    value, _ = reader.read()
    return value, len(reader.faults)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_a_text_without_mistakes_is_read_the_same(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    read, faults = carefully(text)
    try:
        assert strict.read(text) == read
    except ValueError:
        assert faults or "\\u" in text


@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_text_in_which_the_reader_finds_a_fault_is_declined(text: str) -> None:
    value, faults = carefully(text)
    if faults:
        with pytest.raises(ValueError):  # noqa: PT011 - the standard library's or our own
            strict.read(text)
    else:
        assert json.dumps(strict.read(text)) == json.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 1}}',
        "[NaN]",
        "[-Infinity]",
        "[1e999]",
        f"[{'9' * 301}]",
        '["\\ud800"]',
        '["\\u0000"]',
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "[" * 100_000,
        '{"a": 1,}',
        "",
        "\ufeff{}",
    ],
)
def test_what_the_standard_library_lets_pass_or_stumbles_over(text: str) -> None:
    assert carefully(text)[1] or text.startswith("\ufeff")
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's or our own
        strict.read(text)


def test_places_are_found_when_they_are_asked_for() -> None:
    document = Document("file")
    document.take('{"a": 1,\n "b": [2,\n  {"c": 3}]}')
    assert "mark" not in vars(document)
    assert document.value == {"a": 1, "b": [2, {"c": 3}]}
    assert document.place(("b", 1, "c")) == (3, 9)
    assert document.place(("b",), key=True) == (2, 2)
