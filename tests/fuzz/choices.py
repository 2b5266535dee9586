"""Where a generator's decisions come from: bytes of a fuzzer, or draws of hypothesis.

The generators ask only for numbers below a bound, so that the same ones serve both: a fuzzer that
sees which lines were reached learns which bytes lead further, and hypothesis makes failures small.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(Protocol):
    """A source of decisions."""

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1."""


class FromBytes:
    """Decisions from bytes; all are 0 when the bytes are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, bound: int) -> int:
        """Takes as many bytes as the bound needs."""
        size = max(1, ((bound - 1).bit_length() + 7) // 8)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "little") % bound

    def rest(self) -> bytes:
        """The bytes that nothing was decided with."""
        return self._data[self._at :]


class FromDraws:
    """Decisions of hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def below(self, bound: int) -> int:
        """One draw."""
        return self._draw(st.integers(0, bound - 1))


def pick(choices: Choices, rows: Sequence[T]) -> T:
    """One of these."""
    return rows[choices.below(len(rows))]


def one_in(choices: Choices, count: int) -> bool:
    """True about once in `count` times; never when a fuzzer's bytes are used up."""
    return choices.below(count) == count - 1
