"""docs/errors.md: what can be wrong with files and how it is told, from the tests' own examples."""

import inspect
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phoenix_hypervisor.model import errors as tree

_CORPUS = "tests/unit/config/corpus"
_HEAD = f"""\
# Errors

Made by `make docs`: the types of errors from the code, the problems of files from the examples in
`{_CORPUS}`, each of which is a folder of bad files beside the problems that are expected of it.

An error that can be expected says what, why and how to mend it, without a traceback. One that shows
a traceback is a bug.

## Types of errors

The type alone decides what an apply does about it ([errors and
retries](architecture.md#errors-and-retries)).

| type | is a | means |
|---|---|---|
"""
_PROBLEMS = """
## Problems of files

`phoenix validate` tells all of them at once, as `file:line:column: error: message (pointer)`, with
a hint in the next line. Names and numbers are those of the examples.
"""


def errors(root: Path) -> str:
    """The types, then a table of messages for each subject (the beginning of an example's name)."""
    rows = [
        f"| `{kind.__name__}` | `{kind.__base__.__name__}` | {_first(kind)} |"
        for _, kind in inspect.getmembers(tree, inspect.isclass)
        if issubclass(kind, tree.PhoenixError) and kind.__base__ is not None
    ]
    subjects: dict[str, list[str]] = defaultdict(list)
    told: set[tuple[str, str]] = set()
    for path in sorted((root / _CORPUS).rglob("expected.json")):
        subject = path.parent.relative_to(root / _CORPUS).parts[0].partition("-")[0]
        for row in _rows(json.loads(path.read_text(encoding="utf-8")), told):
            subjects[subject].append(row)
    head = "| | message | hint |\n|---|---|---|\n"
    parts = [
        f"\n### {subject}\n\n{head}" + "\n".join(lines) + "\n"
        for subject, lines in sorted(subjects.items())
    ]
    return _HEAD + "\n".join(rows) + "\n" + _PROBLEMS + "".join(parts)


def _first(kind: type) -> str:
    return _cell((kind.__doc__ or "").strip().partition("\n")[0])


def _rows(problems: list[dict[str, Any]], told: set[tuple[str, str]]) -> Iterator[str]:
    for problem in problems:
        told_as = problem["message"], problem["hint"]
        if told_as not in told:
            told.add(told_as)
            yield f"| {problem['severity']} | {_cell(told_as[0])} | {_cell(told_as[1])} |"


def _cell(text: str) -> str:
    """Text for a cell: what stands in backticks is code, and nothing else is Markdown or HTML."""
    parts = text.replace("\n", " ").split("`")
    if not len(parts) % 2:
        return _plain(text)
    return "".join(_code(part) if at % 2 else _plain(part) for at, part in enumerate(parts))


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text.strip() else _plain(f"`{text}`")


def _plain(text: str) -> str:
    shown = text.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for char in "|*_`[]#":
        shown = shown.replace(char, f"\\{char}")
    return shown
