"""The marks around a command's outputs, however the pipe cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.shell.answer import Answer, tail
from phoenix_hypervisor.shell.protocol import Command, Stream, without_marks

BEGIN, END = b"0123456789abcdef01234567<", b"0123456789abcdef01234567>"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(
    before=st.binary(max_size=50),
    own=st.binary(max_size=200) | st.sampled_from([END[:-1], END[:5] * 3, BEGIN, b"\n", b""]),
    after=st.binary(max_size=20),
    places=st.lists(st.integers(min_value=0), max_size=12),
)
def test_own_output_comes_out_whole_however_it_is_cut(
    before: bytes, own: bytes, after: bytes, places: list[int]
) -> None:
    stream = Stream(BEGIN, END, has_tail=True)
    data = before + BEGIN + own + END + b" 3 0\n" + after
    assert (
        b"".join(stream.feed(piece) for piece in cut(data, places) if stream.ended is None) == own
    )
    assert stream.ended == b" 3 0"


def test_output_is_passed_on_before_the_end_unless_it_could_be_the_mark() -> None:
    stream = Stream(BEGIN, END, has_tail=False)
    assert stream.feed(BEGIN + b"prompt? ") == b"prompt? "
    assert stream.feed(END[:4]) == b""
    assert stream.feed(b"x") == END[:4] + b"x"
    assert stream.ended is None


def test_script_and_environment_are_not_in_an_argument_vector() -> None:
    command = Command("echo $TOKEN", {"TOKEN": "it's\nhidden"})
    _, started, *document = command.text().decode().splitlines()
    assert started == f"_run {command.id} 3<<'{command.mark}' </dev/null"
    assert "hidden" in "".join(document[: document.index(command.mark)])


@pytest.mark.parametrize("name", ["A B", "1A", "", "A=B", "A;rm"])
def test_a_wrong_variable_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="environment variable"):
        Command(":", {name: "x"}).text()


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        Command("echo \0").text()


def test_marks_are_not_among_last_words() -> None:
    assert without_marks(b"Error: " + BEGIN + b"not running" + END) == b"Error: not running"


def test_tail_keeps_whole_lines() -> None:
    assert tail(b"first line\nsecond\n", 10) == b"second\n"
    assert tail(b"short", 10) == b"short"
    assert tail(b"x" * 20, 10) == b"x" * 10


def test_words_are_both_outputs_and_said_is_text() -> None:
    answer = Answer(1, b"out\n", b"caf\xe9\n")
    assert answer.words() == "out\ncaf\ufffd"
    assert (answer.said().status, answer.said().err) == (1, "caf\ufffd\n")


def test_without_a_begin_mark_all_is_its_own() -> None:
    stream = Stream(b"", END, has_tail=True)
    assert stream.begun
    assert stream.feed(b"own" + END + b" 0 0\n") == b"own"
    assert stream.ended == b" 0 0"


def test_only_a_command_with_input_has_a_begin_mark() -> None:
    assert Command(":").begin == b""
    command = Command("cat", stdin_size=3)
    assert command.begin.endswith(b"<")
    assert command.begin in command.text()
