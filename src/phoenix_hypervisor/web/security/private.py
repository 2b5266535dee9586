"""Where the dashboard keeps what nobody else may read."""

from pathlib import Path


def private(folder: Path) -> None:
    """Makes it (`.phoenix/`) for this user alone, and keeps it out of Git. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="utf-8")
