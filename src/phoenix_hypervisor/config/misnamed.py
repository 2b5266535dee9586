"""Files that were likely meant as one of the folder's, but have another name: nothing reads them.

Each file of a folder is optional, so that one which is misspelt would be missed by nobody.
"""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.config.told import one_line
from phoenix_hypervisor.model.problem import Problem

_ENDINGS = frozenset({"", "json", "json5", "jsonc", "json.txt", "yaml", "yml", "toml"})
"""Others, such as `.bak` or `.schema.json`, say that the file is not meant to be read."""
_PREFIX = "phoenix_"
_NEAR = 0.91
_STEMS = {file.removesuffix(".json"): file for file in FILES}


def misnamed(folder: Path) -> Iterator[Problem]:
    """A warning for each file that resembles one of the folder's which is not there."""
    missing = {file for file in FILES if not os.path.lexists(folder / file)}
    try:
        there = sorted(path.name for path in folder.iterdir()) if missing else []
    except OSError:
        return  # told of each file that can't be read
    for name in there:
        meant = None if name in FILES else _meant(name)
        if meant in missing and (folder / name).is_file():
            yield _told(name, str(meant))


def _meant(name: str) -> str | None:
    stem, _, ending = name.lower().partition(".")
    if ending not in _ENDINGS:
        return None
    stem = re.sub(r"[-\s]+", "_", stem)
    stem = stem if stem.startswith(_PREFIX[:4]) else _PREFIX + stem
    near = get_close_matches(stem, _STEMS, n=1, cutoff=_NEAR)
    return _STEMS[near[0]] if near else None


def _told(name: str, meant: str) -> Problem:
    is_json = name.lower().endswith((".json", ".json.txt")) or "." not in name
    mend = f"rename it to {meant}" if is_json else f"write it as JSON, and name it {meant}"
    message = one_line(f"it is not there, but {name} is, which nothing reads")
    return Problem("warning", meant, 0, 0, "", message, f"if it is meant, {mend}")
