"""Hashes over all that a feature's result depends on, so that a plan needs no look into guests."""

import functools
import hashlib
import inspect
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from phoenix_hypervisor.configure.job import SCRIPT
from phoenix_hypervisor.configure.plain import plain
from phoenix_hypervisor.model.desired import Desired, Guest, Json, Script
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.feature import Feature
from phoenix_hypervisor.model.secret import Secret

PROTOCOL = 1
"""Raised when what configuring does to a guest changes by itself: all guests are then done anew."""

_JSON = json.JSONEncoder(sort_keys=True)


def fingerprints(
    guest: Guest,
    desired: Desired,
    features: Mapping[str, Feature[Any]],
    folder: Path,
    digest: Callable[[Secret], str],
) -> dict[str, str]:
    """Each feature's fingerprint (64 hex digits) by name, in the guest's order, the script last.

    It covers options, inputs, the content of files, the feature's own code, and the guest's
    address, since a clone carries its source's. `digest` stands for a secret. Raises
    `PhoenixError` for a file that can't be read.
    """
    prints: dict[str, str] = {}
    for use in guest.features:
        feature = features[use.name]
        kind: Any = type(feature)  # mypy takes a class of a Generic for unhashable
        prints[use.name] = _hash(
            {
                "protocol": PROTOCOL,
                "address": guest.address,
                "options": plain(use.options, digest),
                "inputs": plain(feature.inputs(use.options, guest, desired), digest),
                "files": [tree(path) for path in feature.files(use.options, guest, folder)],
                "code": _code(kind),
            }
        )
    if guest.script is not None:
        prints[SCRIPT] = _script(guest, guest.script, digest)
    return prints


def overall(prints: Mapping[str, str]) -> str:
    """One short fingerprint (16 hex digits) of all of a guest's, for the hypervisor's metadata.

    The order counts, since features run in it.
    """
    return _hash([[name, value] for name, value in prints.items()])[:16]


def tree(path: Path) -> str:
    """A hash over a file or folder: names, permission bits, links and contents.

    Raises `PhoenixError` where something can't be read.
    """
    total = hashlib.sha256()
    try:
        for name, entry in _walk(path):
            info = entry.lstat() if entry != path else entry.stat()
            mode = info.st_mode
            total.update(f"{name}\0{stat.S_IFMT(mode):o}\0".encode("utf-8", "surrogateescape"))
            if stat.S_ISLNK(mode):
                total.update(os.fsencode(entry.readlink()))
            else:
                total.update(f"{stat.S_IMODE(mode):o}\0".encode())
            if stat.S_ISREG(mode):
                total.update(_content(entry))
    except OSError as error:
        raise PhoenixError(
            f"{error.filename or path} can't be read: {error.strerror or error}",
            hint="The configuration names it; is it there, and readable for you?",
        ) from error
    return total.hexdigest()


def _walk(path: Path) -> Iterator[tuple[str, Path]]:
    """The path and all below it, in an order that doesn't depend on the file system."""
    yield path.name, path
    if path.is_dir():
        for folder, folders, files in os.walk(path, onerror=_raise):
            folders.sort()
            for name in sorted([*folders, *files]):
                entry = Path(folder) / name
                yield str(entry.relative_to(path)), entry


def _raise(error: OSError) -> None:
    raise error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@functools.cache
def _code(kind: type) -> list[Json]:
    """Hashes of the feature's module and of the helper modules (`_*.py`) beside it."""
    module = Path(inspect.getfile(kind))
    helpers = {each for each in module.parent.glob("_*.py") if each.name != "__init__.py"}
    parts = {each for each in module.parent.glob(f"{module.stem}.*") if each.is_file()}
    return [f"{each.name} {_content(each).hex()}" for each in sorted({module} | helpers | parts)]


def _script(guest: Guest, script: Script, digest: Callable[[Secret], str]) -> str:
    return _hash(
        {
            "protocol": PROTOCOL,
            "address": guest.address,
            "content": tree(script.path),
            "args": list(script.args),
            "env": plain(dict(script.env), digest),
        }
    )


def _hash(value: Json) -> str:
    return hashlib.sha256(_JSON.encode(value).encode()).hexdigest()
