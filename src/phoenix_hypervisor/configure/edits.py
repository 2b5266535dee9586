"""What operations that edit a file by commands would make of it. Pure.

They are commands for `awk`, `sed` and `cat`, which people can't read as a diff.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

_KEYS = "authorized_keys"
_HOMELESS = "/.ssh"
"""What the folder is called of one whose account is still to be made."""
_APPENDED = re.compile(rf"cat >> (?P<path>/\S+/{_KEYS})\Z")


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


def keys_written(command: str) -> str | None:
    """The keys of somebody (`authorized_keys`) that a command writes or adds to; else None."""
    if added := _APPENDED.search(command):
        return added["path"]
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    moved = f'mv -T "$new" "$1/{_KEYS}"'
    if not any(moved in word for word in words) or words[-1] == _HOMELESS:
        return None
    return f"{words[-1]}/{_KEYS}"


def keys_after(command: str, stdin: str, before: str) -> str:
    """The keys afterwards, of a command that writes some."""
    if not _APPENDED.search(command):
        return stdin
    return f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{stdin}"


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
