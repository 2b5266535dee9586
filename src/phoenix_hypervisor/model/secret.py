"""Secrets are a type: they print as `[secret]`, and their value is fetched as late as possible."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

HIDDEN = "[secret]"

_JSON_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"secret": {"type": "string", "minLength": 1}},
            "required": ["secret"],
            "additionalProperties": False,
        },
    ],
    "description": (
        'A string, or {"secret": "NAME"}: found in the environment, in .phoenix-secrets.env or in '
        "secrets.json.age (`phoenix secrets set NAME`)."
    ),
}


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that must never be shown: by name (`{"secret": "NAME"}`), or written in the file."""

    name: str | None = None
    literal: str | None = None

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def reveal(self, lookup: Callable[[str], str]) -> str:
        """The value itself. `lookup` gives a named secret's value or raises `SecretMissing`."""
        if self.name is not None:
            return lookup(self.name)
        return self.literal or ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._read,
            serialization=core_schema.plain_serializer_function_ser_schema(cls._write),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(_JSON_SCHEMA)

    @classmethod
    def _read(cls, value: object) -> "Secret":
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(literal=value)
        if isinstance(value, dict) and set(value) == {"secret"}:
            name = value["secret"]
            if isinstance(name, str) and name:
                return cls(name=name)
        raise ValueError('Input should be a string or {"secret": "NAME"}')

    @staticmethod
    def _write(secret: "Secret") -> object:
        return {"secret": secret.name} if secret.name is not None else HIDDEN
