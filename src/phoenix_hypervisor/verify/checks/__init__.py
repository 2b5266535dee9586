"""The kinds of checks, one file each, found by the file's name; adding one edits no list."""

import importlib
import pkgutil

from phoenix_hypervisor.model.check import Check


def available() -> dict[str, type[Check]]:
    """Each kind's word in the files to its class, sorted by word."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: _class(name) for name in names}


def _class(name: str) -> type[Check]:
    module = importlib.import_module(f"{__name__}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Check)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1 or found[0].kind != name:
        raise TypeError(f"{module.__file__} must hold exactly one Check, with kind = {name!r}")
    return found[0]
