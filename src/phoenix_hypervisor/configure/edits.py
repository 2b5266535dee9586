"""What pyinfra's operations that edit a part of a file would make of it. Pure.

They are commands for `awk` and `sed`, which people can't read as a diff.
"""

from collections.abc import Mapping
from typing import Any

Edit = tuple[str, str]
"""A path and the text that the file would hold."""


def path_of(function: str, arguments: Mapping[str, Any]) -> str | None:
    """The file that an operation edits; None for operations that are not known here."""
    if function not in ("files.line", "files.block"):
        return None
    plain = not any(arguments.get(word) for word in ("backup", "interpolate_variables"))
    return str(arguments["path"]) if plain and arguments.get("present") else None


def edited(function: str, arguments: Mapping[str, Any], before: str) -> str | None:
    """The file's text afterwards; None where it can't be told without running the operation.

    The operation is one that has something to change.
    """
    if function == "files.line":
        return _line(arguments, before)
    return _block(arguments, before)


def _line(arguments: Mapping[str, Any], before: str) -> str | None:
    line = str(arguments["line"])
    if arguments.get("replace") or line.startswith("^") or line.endswith("$"):
        return None
    end = "\n" if arguments.get("ensure_newline") and before and before[-1] != "\n" else ""
    return f"{before}{end}{line}\n"


def _block(arguments: Mapping[str, Any], before: str) -> str | None:
    content = arguments.get("content")
    if not content:
        return None
    lines = content.split("\n") if isinstance(content, str) else [str(one) for one in content]
    marker = str(arguments.get("marker") or "# {mark} PYINFRA BLOCK")
    begin = marker.format(mark=arguments.get("begin") or "BEGIN")
    end = marker.format(mark=arguments.get("end") or "END")
    old = before.splitlines()
    if begin in old and end in old[old.index(begin) :]:
        first = old.index(begin)
        last = old.index(end, first)
        new = [*old[: first + 1], *lines, *old[last:]]
    elif arguments.get("before") != arguments.get("after"):
        return None
    elif arguments.get("before"):
        new = [begin, *lines, end, *old]
    else:
        new = [*old, begin, *lines, end]
    return "\n".join([*new, ""])
