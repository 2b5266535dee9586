"""What an earlier watcher told, as the folder's measurements keep it."""

import json
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.alerting import Alerting, Condition, plain
from phoenix_hypervisor.watch.store import Reader

_MONTH_S = 30 * 86400.0
_MOST = 5000


def told(folder: Path) -> list[Happening]:
    """Alerts and their ends of the last 30 days, the newest first. Raises `DataUnreadable`."""
    reader = Reader.open(folder)
    if reader is None:
        return []
    try:
        since = time.time() - _MONTH_S
        return reader.happenings(since=since, limit=_MOST, what=("alert", "resolved"))
    except sqlite3.Error as error:
        raise DataUnreadable(f"the measurements can't be read: {error}") from error
    finally:
        reader.close()


def active(folder: Path) -> list[Condition]:
    """What was told and is not over, the oldest first, in the words of now, where a watcher left
    them. Raises `DataUnreadable`.
    """
    alerting = Alerting(group_s=0, remind_s=_MONTH_S)
    alerting.restore(told(folder))
    words = _words(folder)
    found = [replace(one, text=words.get(one.key, one.text)) for one in alerting.active]
    return sorted(found, key=lambda one: one.since)


def keep(folder: Path, conditions: Iterable[Condition]) -> None:
    """Keeps the words of now of what was told and lasts, which may have another reason by now.

    Blocks for the time of a small write; where it can't be written, the words of then are shown.
    """
    file = _file(folder)
    written = file.with_suffix(".new")
    text = json.dumps({one.key: plain(one.text) for one in conditions})
    with suppress(OSError):
        fd = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            out.write(text)
        written.replace(file)


def _words(folder: Path) -> dict[str, str]:
    try:
        found = json.loads(_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = found if isinstance(found, dict) else {}
    return {key: text for key, text in found.items() if isinstance(text, str)}


def _file(folder: Path) -> Path:
    return folder / ".phoenix" / "alerts.json"
