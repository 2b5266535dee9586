"""Where files that words name are looked for: in the folder, and in the old layout beside it."""

import os
from pathlib import Path

SCRIPTS = ("scripts", ".", "../bin")
SUITES = ("tests", "scripts", ".", "../bin/tests", "../bin", "../tests")
STACKS = ("stacks", "../stacks")
CLOUD_INIT = ("cloud-init", ".")


def find(folder: Path, name: str, places: tuple[str, ...]) -> Path | None:
    """The first of the places that holds `name`; an absolute path is taken as it is."""
    wanted = Path(name)
    if wanted.is_absolute():
        return wanted if exists(wanted) else None
    for place in places:
        path = folder / place / wanted
        if exists(path):
            return path
    return None


def exists(path: Path) -> bool:
    """Whether something is there; a name that is too long for a file is not."""
    try:
        return path.exists()
    except OSError:
        return False


def astray(folder: Path, path: Path, places: tuple[str, ...]) -> bool:
    """Whether a file that is given to guests lies in none of the places, or is one of Phoenix's.

    Links and `..` are followed, so that nothing else of this machine gets into a guest.
    """
    real = path.resolve()
    homes = [(folder / place).resolve() for place in places]
    inside = [real.relative_to(home) for home in homes if real.is_relative_to(home)]
    return not inside or any(part.startswith((".phoenix", ".git")) for part in inside[0].parts)


def seen_from(folder: Path, path: Path) -> str:
    """Where a path really leads, from the folder on."""
    return os.path.relpath(path.resolve(), folder.resolve())


def told(places: tuple[str, ...]) -> str:
    """The places for a message."""
    shown = [{".": "beside the files"}.get(place, f"in {place}/") for place in places]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
