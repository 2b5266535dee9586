"""Files and folders that options of features name: they are in the folder."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from phoenix_hypervisor.config import lookup, models
from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.config.marked import may_hold_models
from phoenix_hypervisor.model.feature import InFolder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Options marked with `InFolder` whose file or folder isn't there."""
    for guest in folder.guests:
        for use in guest.features:
            for at, mark, name in _named(use.options, (use.name,)):
                # A shorthand, such as a plain name for an object, has no place of its own inside.
                place = at[:-1] if isinstance(guest.spot.raw(*at[:-1]), str) else at
                path = folder.path / mark.under / name
                wanted = Path(mark.under) / name
                if not path.resolve().is_relative_to(folder.path.resolve()):
                    message = f"{wanted} leads to {lookup.seen_from(folder.path, path)}"
                    yield guest.spot.error(place, message, "put it into the folder")
                elif not lookup.exists(path):
                    message = f"{wanted} is not there"
                    yield guest.spot.error(place, message, f"make it in {folder.path.name}/")
                elif mark.kind == "folder" and not path.is_dir():
                    yield guest.spot.error(place, f"{wanted} is a file", "it must be a folder")
                elif mark.kind == "file" and not path.is_file():
                    yield guest.spot.error(place, f"{wanted} is a folder", "it must be a file")


@cache
def _worth_a_look(model: type[BaseModel]) -> tuple[tuple[str, str, InFolder | None], ...]:
    """The fields that may name files, here or deeper: name, word in the files, and mark."""
    found = []
    for name, field in model.model_fields.items():
        mark = next((mark for mark in field.metadata if isinstance(mark, InFolder)), None)
        if mark is not None or may_hold_models(field.annotation):
            found.append((name, models.key_of(name, field), mark))
    return tuple(found)


def _named(value: Any, path: Pointer) -> Iterator[tuple[Pointer, InFolder, str]]:
    if isinstance(value, BaseModel):
        for name, key, mark in _worth_a_look(type(value)):
            inside = getattr(value, name)
            place = (*path, key)
            if mark is not None and inside is not None:
                rows = inside if isinstance(inside, list | tuple) else [inside]
                for index, row in enumerate(rows):
                    if mark.or_text and mark.or_text in str(row):
                        continue
                    at = (*place, index) if rows is inside else place
                    yield at, mark, str(row)
            else:
                yield from _named(inside, place)
    elif isinstance(value, list | tuple):
        for index, row in enumerate(value):
            yield from _named(row, (*path, index))
    elif isinstance(value, dict):
        for key, row in value.items():
            yield from _named(row, (*path, str(key)))
