"""Features are found by their file's name, so that adding one edits no list.

Every module here whose name doesn't start with `_` is one feature. A feature is imported when it
is asked for: a command that needs two features doesn't pay for all of them.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from phoenix_hypervisor.model.feature import Feature, FeatureOptions


class Features(Mapping[str, Feature[Any]]):
    """All features by name; a value is imported on its first use."""

    def __init__(self) -> None:
        self._names = tuple(
            sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
        )

    def __getitem__(self, name: str) -> Feature[Any]:
        if name not in self._names:
            raise KeyError(name)
        return _load(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def available() -> Features:
    """The features that there are. Names are known at once, without importing a feature."""
    return Features()


def for_guests() -> dict[str, Feature[Any]]:
    """The features that guests may name, by name; all of them are imported."""
    return {name: feature for name, feature in available().items() if not feature.host_only}


@cache
def _load(name: str) -> Feature[Any]:
    module = importlib.import_module(f"{__name__}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Feature)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1 or found[0].name != name:
        raise TypeError(
            f"features/{name}.py must define exactly one Feature, with name = {name!r}; "
            f"it defines {[cls.__name__ for cls in found]}"
        )
    feature = cast("type[Feature[FeatureOptions]]", found[0])
    return feature()
