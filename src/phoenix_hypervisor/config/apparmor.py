"""AppArmor profiles that lie in the folder: `apparmor/<name>` declares the profile `<name>`."""

import re
from pathlib import Path

FOLDER = "apparmor"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
_DECLARED = re.compile(r"^\s*profile\s+\"?([^\s\"{(]+)\"?[^\n]*\{", re.MULTILINE)


def path(folder: Path, name: str) -> Path | None:
    """The profile's file, if it is there: a plain name, which leads nowhere else."""
    if not _NAME.fullmatch(name):
        return None
    found = folder / FOLDER / name
    inside = found.resolve().is_relative_to((folder / FOLDER).resolve())
    return found if inside and found.is_file() else None


def text(folder: Path, name: str) -> str | None:
    """Its content; None where there is no file, or none that can be read as text."""
    found = path(folder, name)
    if found is None:
        return None
    try:
        return found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def declared(content: str) -> list[str]:
    """The names of the profiles that a file declares, in its order.

    As apparmor.d(5) writes them: `profile NAME [attachment] [flags=(…)] {`.
    """
    return _DECLARED.findall(content)
