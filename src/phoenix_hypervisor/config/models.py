"""Looks into pydantic models: which words are known at a place, and how they are described."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

Step = str | int


def key_of(name: str, field: FieldInfo) -> str:
    """The key in the files that fills a field."""
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return field.alias or name


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by their keys in the files."""
    return {key_of(name, field): field for name, field in model.model_fields.items()}


def inner(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models that stand anywhere in an annotation, such as `list[Rule] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from inner(part)


def at(model: type[BaseModel], path: Sequence[Step]) -> type[BaseModel] | None:
    """The model of the object at a path below `model`; None where it is no object of words."""
    found: type[BaseModel] | None = model
    for step in path:
        if found is None:
            return None
        field = keys(found).get(str(step))
        if field is not None:
            found = next(inner(field.annotation), None)
        elif (extra := found.__annotations__.get("__pydantic_extra__")) is not None:
            found = next(inner(extra), None)
    return found


def about(model: type[BaseModel], path: Sequence[Step]) -> str:
    """The description of the word at a path, or of the nearest word above that has one."""
    return next(
        (told for end in range(len(path), 0, -1) if (told := describe(model, path[:end]))), ""
    )


def example(model: type[BaseModel], path: Sequence[Step]) -> str:
    """What the word at a path may hold, as JSON; empty where no example is known."""
    holder = at(model, path[:-1]) if path else None
    field = keys(holder).get(str(path[-1])) if holder is not None else None
    examples = (field.examples or []) if field is not None else []
    return json.dumps(examples[0], ensure_ascii=False) if examples else ""


def describe(model: type[BaseModel], path: Sequence[Step]) -> str:
    """The description of the word at a path; empty where there is none."""
    if not path:
        return ""
    *before, last = path
    holder = at(model, before)
    field = keys(holder).get(str(last)) if holder is not None else None
    if field is None and isinstance(last, int):
        return describe(model, before)
    return (field.description or "") if field is not None else ""
