"""Finds the words of a model that bear a marker, such as `Later`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.words.base import Words

MOST_LABELS = 5


@dataclass(frozen=True)
class Marked:
    """A word that stands in the file, its marker and its value."""

    marker: object
    field: FieldInfo
    value: Any


def marked(words: BaseModel, kind: type[object]) -> Iterator[tuple[Pointer, Marked]]:
    """All marked words that are set; what is below a marked word isn't looked at."""
    given = words.model_fields_set
    marks: Any = kind  # mypy takes it for unhashable
    for name, field, marker in _worth_a_look(type(words), marks):
        if name not in given:
            continue
        value = getattr(words, name)
        if marker is not None:
            yield (name,), Marked(marker, field, value)
        else:
            for at, held in _below(value):
                for path, inside in marked(held, kind):
                    yield (name, *at, *path), inside


@cache
def _worth_a_look(model: type[BaseModel], kind: Any) -> tuple[tuple[str, FieldInfo, object], ...]:
    """The fields that bear a marker, or hold words which may: name, field and marker."""
    found = []
    for name, field in model.model_fields.items():
        marker = next((mark for mark in field.metadata if isinstance(mark, kind)), None)
        if marker is not None or may_hold_models(field.annotation):
            found.append((name, field, marker))
    return tuple(found)


def may_hold_models(annotation: Any) -> bool:
    """Whether a field with this annotation can hold a model, itself or in a list or map."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return annotation is Any or any(may_hold_models(inside) for inside in get_args(annotation))


def _below(value: object) -> Iterator[tuple[Pointer, Words]]:
    if isinstance(value, Words):
        yield (), value
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, Words):
                yield (index,), entry


def dotted(place: Pointer) -> str:
    """A word's name with those above it: `mount_points.owner_uid`."""
    return ".".join(step for step in place if isinstance(step, str))


def listed(labels: Iterable[str]) -> str:
    """`also in lxc/102, lxc/103 and 4 more`; empty where there are none."""
    names = list(dict.fromkeys(labels))
    if not names:
        return ""
    more = f" and {len(names) - MOST_LABELS} more" if len(names) > MOST_LABELS else ""
    return f"also in {', '.join(names[:MOST_LABELS])}{more}"
