"""Options and inputs as plain JSON values, with each secret seen to on the way."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.secret import Secret

_AS_THEY_ARE = (str, int, float, bool, type(None))


def plain(value: Any, see: Callable[[Secret], Json]) -> Json:
    """The value as JSON; `see` gives what stands for a secret."""
    if type(value) in _AS_THEY_ARE:
        same: Json = value
        return same
    match value:
        case Secret():
            return see(value)
        case Enum():
            return plain(value.value, see)
        case int() | float() | str():
            return value
        case BaseModel():
            words = {name: getattr(value, name) for name in type(value).model_fields}
            words |= value.__pydantic_extra__ or {}
            return {name: plain(inside, see) for name, inside in words.items()}
        case Mapping():
            return {str(key): plain(item, see) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, see) for item in value]
        case set() | frozenset():
            return sorted((plain(item, see) for item in value), key=repr)
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name), see) for item in fields(value)}
    return str(value)  # paths, addresses, URLs, dates, …


def secrets_in(*values: Any) -> set[Secret]:
    """All secrets in options or inputs."""
    found: set[Secret] = set()

    def see(secret: Secret) -> None:
        found.add(secret)

    plain(values, see)
    return found
