"""Passwords and tokens in plain text: files end up in Git."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.base import CONTAINERS, is_comment, is_unset
from phoenix_hypervisor.model.problem import Problem

_SECRET = re.compile(
    r"(password|passwd|passphrase|secret|api_?key|private_?key)$|(^|[_-])token$", re.IGNORECASE
)
_HASH = re.compile(r"\$(1|2[aby]|5|6|7|y|gy|argon2id?|scram)\$|SCRAM-SHA-256\$")


_KEYS = ("auth", "keys")
"""The way to a route's keys, each of which stands under the name of who has it."""


@lru_cache  # the same few keys in every guest
def _names_one(key: str) -> bool:
    return _SECRET.search(key) is not None


def find(folder: Folder) -> Iterator[Problem]:
    """Texts under keys that name secrets, but hashes of passwords."""
    for document, value in folder.raw_files():
        for place, key in _texts(value, ()):
            name = re.sub(r"[^A-Z0-9]+", "_", key.upper()).strip("_")
            message = f"`{key}` stands here in plain text"
            hint = (
                f'write {{"secret": "{name}"}} here, and set its value with '
                f"`phoenix secrets set {name}` or an environment variable"
            )
            yield document.problem("warning", place, message, hint)


def _texts(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, dict) and list(value) != ["secret"]:
        for key, inside in value.items():
            if is_comment(key):
                continue
            if isinstance(inside, str):
                is_one = _names_one(key) or path[-2:] == _KEYS
                if is_one and not is_unset(inside) and not _HASH.match(inside):
                    yield (*path, key), key
            elif isinstance(inside, CONTAINERS):
                yield from _texts(inside, (*path, key))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            if isinstance(inside, CONTAINERS):
                yield from _texts(inside, (*path, index))
