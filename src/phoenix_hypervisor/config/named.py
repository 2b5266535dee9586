"""Finds where the files name secrets: `{"secret": "NAME"}`."""

from collections.abc import Iterator
from typing import Any

from phoenix_hypervisor.config.document import Document, Pointer
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.words.base import CONTAINERS, is_comment


def named(folder: Folder) -> Iterator[tuple[Document, Pointer, str]]:
    """Each place with its file and the secret's name; not in files that could not be read."""
    for document, value in folder.raw_files():
        for place, name in _named(value, ()):
            yield document, place, name


def _named(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, dict):
        name = value.get("secret")
        if len(value) == 1 and isinstance(name, str) and name:
            yield path, name
            return
        for key, inside in value.items():
            if isinstance(inside, CONTAINERS) and not is_comment(key):
                yield from _named(inside, (*path, key))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            if isinstance(inside, CONTAINERS):
                yield from _named(inside, (*path, index))
