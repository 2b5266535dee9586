"""Finds by indentation where a closing bracket was likely forgotten."""

import re
from bisect import bisect_right
from collections.abc import Iterable

_BLANK = re.compile(r"\s*")


def askew(text: str, pairs: Iterable[tuple[int, int]]) -> str:
    """A sentence on the first bracket whose partner stands at another indentation.

    `pairs` are offsets of opening and closing brackets, in the order of closing. Empty where all
    are in line.
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    indents: dict[int, int] = {}

    def indent(row: int) -> int:
        """How many blanks a line starts with; looked at once, since a line may be very long."""
        if row not in indents:
            match = _BLANK.match(text, starts[row], _end(text, starts, row))
            indents[row] = match.end() - starts[row] if match else 0
        return indents[row]

    for opening, closing in pairs:
        last = bisect_right(starts, closing) - 1
        column = closing - starts[last]
        if indent(last) < column:
            continue  # it isn't the first on its line
        first = bisect_right(starts, opening) - 1
        if min(indent(first), opening - starts[first]) != column:
            return (
                f"by its indentation, `{text[closing]}` of line {last + 1} was not meant "
                f"to close the `{text[opening]}` of line {first + 1}"
            )
    return ""


def _end(text: str, starts: list[int], row: int) -> int:
    return starts[row + 1] if row + 1 < len(starts) else len(text)
