"""Python's tracebacks in what a command wrote: their innermost calls, and what was raised. Pure."""

import re
from collections.abc import Iterable, Iterator

_CALL = re.compile(r'\s+File ".*", line \d+')
_INNERMOST = 2


def shortened(lines: Iterable[str]) -> list[str]:
    """The lines, of each traceback only the innermost calls; also of one without its beginning."""
    kept: list[str] = []
    calls: list[list[str]] = []
    for line in lines:
        if _CALL.match(line):
            if not calls:  # its head is not indented: what is, has lost its own
                while kept and _is_inside(kept[-1]):
                    kept.pop()
            calls.append([line])
        elif calls and _is_inside(line):
            calls[-1].append(line)
        else:
            kept += [*_innermost(calls), line]
            calls = []
    return [*kept, *_innermost(calls)]


def raised(lines: Iterable[str]) -> str:
    """The line of the last exception that was raised; empty where there is no traceback."""
    found, in_call = "", False
    for line in lines:
        if in_call and not _is_inside(line):
            found = line
        in_call = bool(_CALL.match(line)) or (in_call and _is_inside(line))
    return found.strip()


def _is_inside(line: str) -> bool:
    return line[:1].isspace()


def _innermost(calls: list[list[str]]) -> Iterator[str]:
    if (more := len(calls) - _INNERMOST) > 0:
        yield f"  … {more} calls before"
    for call in calls[-_INNERMOST:]:
        yield from call
