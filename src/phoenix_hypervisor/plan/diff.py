"""The differences between what one guest is and what it is to be, field by field."""

from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.observed import Fields

_GROUPS = ("network.", "mounts.", "volumes.", "raw.")
"""Of these everything seen is compared: what is no longer asked for is to go."""


def diff(wanted: Fields, seen: Fields) -> tuple[FieldChange, ...]:
    """All differing fields, sorted by path.

    A field that isn't asked for is left alone, except in `_GROUPS`, where it was removed from
    the files.
    """
    paths = set(wanted) | {path for path in seen if path.startswith(_GROUPS)}
    return tuple(
        FieldChange(path, seen.get(path), wanted.get(path))
        for path in sorted(paths)
        if seen.get(path) != wanted.get(path)
    )


def after(wanted: Fields, seen: Fields) -> dict[str, Json]:
    """What is seen once the differences are carried out."""
    left_alone = {path: value for path, value in seen.items() if not path.startswith(_GROUPS)}
    return {**left_alone, **wanted}
