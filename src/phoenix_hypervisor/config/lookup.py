"""Where files that words name are looked for: in the folder, and in the old layout beside it."""

from pathlib import Path

SCRIPTS = ("scripts", ".", "../bin")
SUITES = ("tests", "scripts", ".", "../bin/tests", "../bin", "../tests")
STACKS = ("stacks", "../stacks")


def find(folder: Path, name: str, places: tuple[str, ...]) -> Path | None:
    """The first of the places that holds `name`; an absolute path is taken as it is."""
    wanted = Path(name)
    if wanted.is_absolute():
        return wanted if wanted.exists() else None
    for place in places:
        path = folder / place / wanted
        if path.exists():
            return path
    return None


def told(places: tuple[str, ...]) -> str:
    """The places for a message."""
    shown = [{".": "beside the files"}.get(place, f"in {place}/") for place in places]
    return ", ".join(shown[:-1]) + " and " + shown[-1]
