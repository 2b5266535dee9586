"""The differences between what one guest is and what it is to be, field by field."""

import re

from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.observed import Fields

_OPEN = re.compile(r"(volumes\..*)\.size_gb")
"""A volume without a wanted size keeps the one that it has."""
_GROUPS = ("network.", "mounts.", "volumes.", "raw.")
"""Of these everything seen is compared: what is no longer asked for is to go."""


def diff(wanted: Fields, seen: Fields) -> tuple[FieldChange, ...]:
    """All differing fields, sorted by path.

    A field that isn't asked for is left alone, except in `_GROUPS`, where it was removed from
    the files (but for the size of a volume that is still there).
    """
    if not seen:  # a new guest: nothing to compare, and plans of many have many of them
        return tuple(
            FieldChange(path, None, wanted[path])
            for path in sorted(wanted)
            if wanted[path] is not None
        )
    paths = set(wanted) | {path for path in seen if _is_removal(path, wanted)}
    return tuple(
        FieldChange(path, seen.get(path), wanted.get(path))
        for path in sorted(paths)
        if seen.get(path) != wanted.get(path)
    )


def after(wanted: Fields, seen: Fields) -> dict[str, Json]:
    """What is seen once the differences are carried out."""
    left_alone = {path: value for path, value in seen.items() if not _is_removal(path, wanted)}
    return {**left_alone, **wanted}


def _is_removal(path: str, wanted: Fields) -> bool:
    if path in wanted or not path.startswith(_GROUPS):
        return False
    match = _OPEN.fullmatch(path)
    return match is None or f"{match[1]}.target" not in wanted
