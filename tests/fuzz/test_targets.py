"""Thousands of cases for every target of the fuzzer, and all that it has found so far.

`make fuzz` goes on for as long as one likes, guided by what each case reaches.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz import folders, kept, pumped, reading, words
from tests.fuzz.choices import FromDraws
from tests.fuzz.making import TEXTS
from tests.fuzz.targets import TARGETS

CASES = Path(__file__).parent / "cases"
PIECES = [piece.encode() for piece in pumped.PARTS]
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
LEGAL = st.characters(codec="utf-8", exclude_characters="\0")


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=UNHURRIED)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """In memory where that is possible: each case writes files."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


@pytest.mark.parametrize("case", sorted(CASES.glob("*/*")), ids=lambda path: path.name)
def test_what_was_found_once(case: Path, scratch: Path) -> None:
    TARGETS[case.parent.name](case.read_bytes(), scratch)


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
@examples(2000)
def test_any_bytes_as_a_file(scratch: Path, data: bytes) -> None:
    reading.any_bytes(data, scratch)


@given(st.data())
@examples(40)
def test_nothing_takes_more_than_linear_time(scratch: Path, data: st.DataObject) -> None:
    pumped.any_repeat(FromDraws(data.draw), scratch)


@given(st.data())
@examples(250)
def test_any_folder(scratch: Path, data: st.DataObject) -> None:
    folders.any_folder(FromDraws(data.draw), scratch)


@given(st.data())
@examples(100)
def test_any_change_of_a_folder(scratch: Path, data: st.DataObject) -> None:
    folders.any_change(FromDraws(data.draw), scratch)


@given(st.data())
@examples(100)
def test_any_saved_plan(scratch: Path, data: st.DataObject) -> None:
    kept.any_plan(FromDraws(data.draw), scratch)


@given(st.data())
@examples(100)
def test_any_state_of_a_node(scratch: Path, data: st.DataObject) -> None:
    kept.any_state(FromDraws(data.draw), scratch)


@given(st.text(LEGAL, max_size=60) | st.lists(st.sampled_from(TEXTS), max_size=4).map("".join))
@examples(1000)
def test_any_word(text: str) -> None:
    words.any_word(text)


@given(st.binary(max_size=120) | st.text("A='\"\\#\n$ export", max_size=40).map(str.encode))
@examples(1000)
def test_any_file_of_secrets(scratch: Path, data: bytes) -> None:
    kept.any_secrets(data, scratch)


@given(st.text(LEGAL, max_size=80) | st.sampled_from(TEXTS))
@examples(300)
def test_any_secret_is_read_as_it_was_written(scratch: Path, value: str) -> None:
    if value:
        kept.any_secret(value, scratch)


def test_the_cases_lead_far(scratch: Path) -> None:
    """They are worth something: not all folders are refused, nor all plans and states."""
    ways = {"folder": folders.any_folder, "plan": kept.any_plan, "node": kept.any_state}
    for name, way in ways.items():
        went: set[str] = set()

        @given(st.data())
        @settings(examples(60), database=None)
        def look(data: st.DataObject) -> None:
            went.add(way(FromDraws(data.draw), scratch))  # noqa: B023 - called at once

        look()
        assert "applied" in went, name
        assert len(went) > 1, name
