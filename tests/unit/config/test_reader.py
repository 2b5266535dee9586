"""The reader: the standard library's values for valid text, places, and no crash for any text."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.config.reader import Mark, Reader
from phoenix_hypervisor.config.tokens import MAX_DEPTH, MAX_FAULTS, Fault

TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"))  # NUL is refused
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=5) | st.dictionaries(TEXT, inside, max_size=5),
    max_leaves=30,
)
PIECES = ['"', "'", "{", "}", "[", "]", ":", ",", "\\", "//", "/*", "*/", "#", "\n", " ", "\t"]
PIECES += ["true", "NaN", "-", "1", ".5", "1e9", "a", "\\u", "\\ud83d", "\ufeff", "\u201c", "\x00"]
PIECES += ['"a"', '"b": 1', "=", ";", "-Infinity", "\U0001f600", "\u2028"]
TOKENS = st.lists(st.sampled_from(PIECES), max_size=40)


@given(VALUES, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
@settings(max_examples=300)
def test_valid_text_has_the_standard_librarys_values(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    reader = Reader(text)
    read, _ = reader.read()
    assert reader.faults == []
    assert read == json.loads(text)
    assert repr(read) == repr(json.loads(text))  # 1 and 1.0 and True are not the same here


@given(VALUES, st.sampled_from([None, 2]))
def test_each_mark_is_where_the_value_starts(value, indent):
    text = json.dumps(value, indent=indent)
    read, mark = Reader(text).read()

    def look(value: object, mark: Mark) -> None:
        decoded, _ = json.JSONDecoder().raw_decode(text, mark[1])
        assert decoded == value
        if isinstance(value, dict):
            for key, inside in value.items():
                at = mark[2][key]
                assert json.JSONDecoder().raw_decode(text, at[0])[0] == key
                look(inside, at)
        elif isinstance(value, list):
            for index, inside in enumerate(value):
                look(inside, mark[2][index])

    look(read, mark)


@given(st.text() | TOKENS.map("".join))
@settings(max_examples=500)
def test_no_text_is_too_strange(text):
    reader = Reader(text)
    read, _ = reader.read()
    try:
        wanted = json.loads(text, parse_constant=lambda _: pytest.fail("a constant"))
    except (ValueError, pytest.fail.Exception):
        assert reader.faults
        assert all(0 <= fault.offset <= len(text) for fault in reader.faults)
        assert len(reader.faults) <= MAX_FAULTS + 1
    else:
        if not reader.faults:  # duplicate keys, halves of pairs and the like are only ours
            assert read == wanted


@given(VALUES, st.data())
def test_one_character_less_is_told_or_still_valid(value, data):
    text = json.dumps({"a": value, "b": [1, 2]}, indent=1)
    at = data.draw(st.integers(0, len(text) - 1))
    reader = Reader(text[:at] + text[at + 1 :])
    read, _ = reader.read()
    if not reader.faults:
        assert read == json.loads(text[:at] + text[at + 1 :])


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ('{"a": 1,}', {"a": 1}, "the comma before `}` is one too many"),
        ("[1, 2,]", [1, 2], "the comma before `]` is one too many"),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}, "a comma is missing after this value"),
        ("{a: 1}", {"a": 1}, "the key `a` must stand in double quotes"),
        ("{'a': 1}", {"a": 1}, "text must stand in double quotes"),
        ('{"a": True}', {"a": True}, "`True` is not JSON"),
        ('{"a": 1} // b', {"a": 1}, "JSON has no comments"),
        ('{"a": 1, "a": 2}', {"a": 2}, 'duplicate key "a": it stands in line 1 already'),
        ('{"a" 1}', {"a": 1}, "a colon is missing after the key"),
        ('["a\\qb"]', ["aqb"], "`\\q` is no escape of JSON"),
        ('["\\ud83d"]', [""], "half of a surrogate pair stands alone"),
        ('["\\ud83d\\ud83d\\ude00"]', ["\U0001f600"], "half of a surrogate pair stands alone"),
        ("[1;2]", [1, 2], "a comma must stand here, not `;`"),
    ],
)
def test_simple_mistakes_are_told_and_read_as_meant(text, value, message):
    reader = Reader(text)
    assert reader.read()[0] == value
    assert [fault.message for fault in reader.faults] == [message]
    assert reader.faults[0].sure


def test_nesting_is_bounded():
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert not _faults(deep)
    assert "nested deeper" in _faults("[" + deep + "]")[0].message
    assert "nested deeper" in _faults("[" * 100_000)[0].message


def test_faults_are_bounded():
    assert len(_faults("[" + "'a' " * 1000)) == MAX_FAULTS + 1


def test_a_megabyte_takes_well_under_a_second():
    rows = [{"id": i, "name": f"guest-{i}", "memory_mb": 512, "on": True} for i in range(12_000)]
    text = json.dumps(rows, indent=2)
    start = time.process_time()
    value, _ = Reader(text).read()
    took = time.process_time() - start
    assert value == rows
    assert len(text) > 1_000_000
    assert took < 1.0


def _faults(text: str) -> list[Fault]:
    reader = Reader(text)
    reader.read()
    return reader.faults
