"""Holds values against a model: all that is wrong, and a model of all that is right.

One wrong word must not hide what else is wrong: what a model refuses is told and left out, and
the rest is tried again, so that the rules between words still see everything that can be seen.
"""

import copy
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from phoenix_hypervisor.config import models, told
from phoenix_hypervisor.config.document import Document, Pointer, pointer
from phoenix_hypervisor.config.words.base import is_comment
from phoenix_hypervisor.model.lacking import Lacking
from phoenix_hypervisor.model.problem import Problem

M = TypeVar("M", bound=BaseModel)
Where = Callable[[Pointer], Pointer]
"""From a path in the judged values to the path in the file."""


_OWN_WORDS = {"phoenix", "value_error", "assertion_error"}
"""Types of errors whose message says all that is to be said."""


@dataclass
class Judged(Generic[M]):
    """`model` is None where nothing could be kept. `shorter`: lists that lost entries."""

    model: M | None
    problems: list[Problem]
    shorter: dict[Pointer, "_Shorter"] = field(default_factory=dict)

    def original(self, path: Pointer) -> Pointer:
        """The path in the judged values of a path in the model, whose lists may be shorter."""
        found: Pointer = ()
        for step in path:
            index = step
            if isinstance(step, int) and found in self.shorter:
                index = self.shorter[found].original(step)
            found = (*found, index)
        return found


class _Shorter:
    """A list without some of its entries: leads from an index in it to the one it had."""

    def __init__(self) -> None:
        self._gone: set[int] = set()
        self._shifts: list[int] = []

    def lose(self, gone: set[int]) -> None:
        """Entries that go too, by the indices that they had in the whole list."""
        self._gone |= gone
        self._shifts = [index - before for before, index in enumerate(sorted(self._gone))]

    def original(self, index: int) -> int:
        """As many more as entries before it are gone."""
        return index + bisect_right(self._shifts, index)


def judge(
    model: type[M],
    value: Mapping[str, Any],
    document: Document,
    where: Where,
    *,
    also: tuple[str, ...] = (),
) -> Judged[M]:
    """Holds `value` against `model`; `also` are further words that are known at its top."""
    judged: Judged[M] = Judged(None, [])
    left: Any = value
    seen: set[tuple[Pointer, str]] = set()
    refused: list[Pointer] = []
    while True:
        try:
            judged.model = model.model_validate(left)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if left is value:
                left = copy.deepcopy(value)
        else:
            return judged
        found = [(_resolve(left, detail), detail) for detail in details]
        real = [one for one in found if not _follows(one[1], judged.original(one[0]), refused)]
        _Telling(model, value, document, where, also, judged, seen).all(real)
        refused += [judged.original(path) for path, _ in found]
        if not _leave_out(left, [path for path, _ in found], judged):
            return judged


def _follows(detail: ErrorDetails, path: Pointer, refused: list[Pointer]) -> bool:
    """Whether it misses what may have been left out of the same object."""
    context = detail.get("ctx", {})
    lacking = isinstance(context.get("error"), Lacking) or context.get("lacking") is True
    return lacking and any(len(one) > len(path) and one[: len(path)] == path for one in refused)


@dataclass
class _Telling:
    model: type[BaseModel]
    value: Any
    document: Document
    where: Where
    also: tuple[str, ...]
    judged: Judged[Any]
    seen: set[tuple[Pointer, str]]

    def all(self, found: list[tuple[Pointer, ErrorDetails]]) -> None:
        """Tells each error once; the branches of a union at one place become one."""
        by_place: dict[Pointer, list[ErrorDetails]] = {}
        for path, detail in found:
            if detail["type"] == "missing":
                self._missing(self.judged.original(path), str(detail["loc"][-1]))
            elif detail["type"] == "extra_forbidden":
                self._unknown(self.judged.original(path))
            elif detail["loc"][-1:] == ("[key]",) and detail["type"] != "phoenix":
                self._bad_key(self.judged.original(path), detail)
            else:
                by_place.setdefault(self.judged.original(path), []).append(detail)
        for path, details in by_place.items():
            self._wrong(path, details)

    def _add(self, path: Pointer, kind: str, message: str, hint: str, *, key: bool = False) -> None:
        place = self.where(path)
        if (path, kind) in self.seen or pointer(place) in self.document.guessed:
            return
        self.seen.add((path, kind))
        problem = self.document.problem("error", place, message, hint, key=key)
        self.judged.problems.append(problem)

    def _raw(self, path: Pointer) -> Any:
        value = self.value
        for step in path:
            value = value[step]
        return value

    def _missing(self, path: Pointer, word: str) -> None:
        if path and path[-1] == word and not isinstance(self._raw(path), dict):
            place = path  # it stands there, but empty
        elif word in self._raw(path):
            return  # it stands there, was wrong, and that is told already
        else:
            place = (*path, word)
        hint = models.describe(self.model, place)
        self._add(path, f"missing {word}", f"`{word}` is missing", hint, key=True)

    def _unknown(self, path: Pointer) -> None:
        word = str(path[-1])
        if is_comment(word):
            return
        holder = models.at(self.model, path[:-1])
        known = list(models.keys(holder)) if holder is not None else []
        if len(path) == 1:
            known.extend(self.also)
        otherwise = 'remove it; remarks go under keys that start with "_"'
        hint = told.did_you_mean(word, known, otherwise)
        self._add(path, "unknown", f"`{word}` is not a known word here", hint, key=True)

    def _wrong(self, path: Pointer, details: list[ErrorDetails]) -> None:
        value = self._raw(path)
        shown = self.where(path)
        texts = [
            told.tell(detail["type"], detail.get("ctx", {}), detail["msg"], shown, value)
            for detail in details
        ]
        messages = list(dict.fromkeys(message for message, _ in texts))
        hint = next((hint for _, hint in texts if hint), "")
        by_form = not {detail["type"] for detail in details} & _OWN_WORDS
        if not hint and by_form and (shown_example := models.example(self.model, path)):
            hint = f"such as {shown_example}"
        hint = hint or models.about(self.model, path)
        self._add(path, messages[0], " or ".join(messages), hint)

    def _bad_key(self, path: Pointer, detail: ErrorDetails) -> None:
        """A key of one's own choice that is none here, such as a header's name with a blank."""
        form = detail.get("ctx", {}).get("pattern")
        why = f"its form is {form}" if form else detail["msg"]
        message = f"`{path[-1]}` can't be a key of {told.name(path[:-1])}: {why}"
        hint = models.about(self.model, path[:-1]) or "choose another name"
        self._add(path, "key", message, hint, key=True)


def _resolve(value: Any, detail: ErrorDetails) -> Pointer:
    """Where in the values an error is: pydantic's `loc` also names branches and validators."""
    path: Pointer = ()
    for step in detail["loc"]:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list):
            index = int(step) if str(step).isascii() and str(step).isdigit() else -1
            if not 0 <= index < len(value):
                continue
            step, value = index, value[index]  # noqa: PLW2901 - the same step, as a list counts
        else:
            continue
        path = (*path, step)
    return path


def _leave_out(value: Any, paths: list[Pointer], judged: Judged[Any]) -> bool:
    """Removes what was refused. False where that is the whole, so that nothing is left."""
    if () in paths:
        return False
    gone: dict[Pointer, set[int]] = {}
    for path in sorted(set(paths), key=_in_order, reverse=True):  # so that indices stay right
        *before, last = path
        holder = value
        try:
            for step in before:
                holder = holder[step]
            del holder[last]
        except (KeyError, IndexError, TypeError):
            continue  # went away together with what held it
        if isinstance(last, int):
            *home, index = judged.original(path)
            gone.setdefault(tuple(home), set()).add(int(index))
    for holder_path, indices in gone.items():
        judged.shorter.setdefault(holder_path, _Shorter()).lose(indices)
    return True


def _in_order(path: Pointer) -> list[str]:
    return [f"{step:09}" if isinstance(step, int) else step for step in path]
