"""What all words of the files share: strict types, comments, unset values, and their markers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

UNSET = ("", "NOT_SET", None)
CONTAINERS = (dict, list)
"""What values of a file may lie in."""


def is_unset(value: object) -> bool:
    """Whether a value means the same as a key that is left out."""
    return value in UNSET


@lru_cache  # asked for every key of every file, and most come again
def is_comment(key: object) -> bool:
    """Whether a key is for people only. `$schema` is for their editors."""
    return isinstance(key, str) and (key.startswith(("x-", "_")) or key == "$schema")


def without_comments(value: object) -> object:
    """A map without its comments; anything else as it is."""
    if isinstance(value, dict):
        return {key: inside for key, inside in value.items() if not is_comment(key)}
    return value


def wrong(message: str, hint: str = "", *, lacking: bool = False) -> PydanticCustomError:
    """The error of a single value, told in our own words; `lacking` as `Lacking`."""
    context = {"message": message, "hint": hint, "lacking": lacking}
    return PydanticCustomError("phoenix", "{message}", context)


@dataclass(frozen=True, slots=True)
class Later:
    """Marks a word that is read and whose behaviour isn't built yet.

    `matters` says whether a value asks for anything; without it, all but the default does.
    """

    matters: Callable[[Any], bool] | None = None

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "x-later": True}


@dataclass(frozen=True, slots=True)
class Old:
    """Marks a word that is still read; `instead` says what to write today."""

    instead: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "deprecated": True}


@dataclass(frozen=True, slots=True)
class Unused:
    """Marks a word of the old layout that nothing needs any more."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "deprecated": True}


@dataclass(frozen=True, slots=True)
class Note:
    """Marks a word that is for people only and asks for nothing."""


class Words(BaseModel):
    """Base of all words: unknown keys are errors, types are strict, unset values are left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_set(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {
            key: inside
            for key, inside in value.items()
            if not is_comment(key) and not is_unset(inside)
        }


@dataclass(frozen=True, slots=True)
class Keyed:
    """A map whose entries may also be written as a list, or, where there is one, by itself.

    Reads all three into a map: a list's keys are its indices, a single entry's key is empty, so
    that a problem's path still leads to its place. `own` are keys that only an entry has.
    """

    own: frozenset[str]

    def read(self, value: object) -> object:
        """For a `BeforeValidator`."""
        if isinstance(value, list):
            return {str(index): entry for index, entry in enumerate(value)}
        if isinstance(value, Mapping) and self.own & set(value):
            return {"": value}
        return without_comments(value)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        mapped = handler(schema)
        entry = mapped["additionalProperties"]
        return {"anyOf": [entry, {"type": "array", "items": entry}, mapped]}


def steps(key: str) -> tuple[str | int, ...]:
    """The step in the file to an entry that `Keyed` read: of a map, of a list, or by itself."""
    if key == "":
        return ()
    return (int(key),) if key.isascii() and key.isdigit() else (key,)
