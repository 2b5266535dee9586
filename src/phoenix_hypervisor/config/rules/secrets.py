"""Named secrets: each has a value, which is only asked for when a guest is configured."""

from collections.abc import Iterator
from typing import Any

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.secrets import FILE
from phoenix_hypervisor.config.words.base import is_comment
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Secrets without a value, each told once."""
    if folder.known_secrets is None:
        return
    seen: set[str] = set()
    for document, value in folder.raw_files():
        for place, name in _named(value, ()):
            if name not in seen and not folder.known_secrets(name):
                hint = f"put {name}=… into {FILE} (mode 600) or the environment"
                message = f"the secret {name} has no value yet"
                yield document.problem("warning", place, message, hint)
            seen.add(name)


def _named(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, dict):
        name = value.get("secret")
        if len(value) == 1 and isinstance(name, str) and name:
            yield path, name
            return
        for key, inside in value.items():
            if not is_comment(key):
                yield from _named(inside, (*path, key))
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            yield from _named(inside, (*path, index))
