"""Finds by indentation where a closing bracket was likely forgotten."""

from collections.abc import Iterable


def askew(text: str, pairs: Iterable[tuple[int, int]]) -> str:
    """A sentence on the first bracket whose partner stands at another indentation.

    `pairs` are offsets of opening and closing brackets, in the order of closing. Empty where all
    are in line.
    """
    for opening, closing in pairs:
        start = text.rfind("\n", 0, closing) + 1
        if text[start:closing].strip():
            continue  # it isn't the first on its line
        head = text.rfind("\n", 0, opening) + 1
        line = text[head:opening]
        if len(line) - len(line.lstrip()) != closing - start:
            first = text.count("\n", 0, opening) + 1
            last = text.count("\n", 0, closing) + 1
            return (
                f"by its indentation, `{text[closing]}` of line {last} was not meant "
                f"to close the `{text[opening]}` of line {first}"
            )
    return ""
