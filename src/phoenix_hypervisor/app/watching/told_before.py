"""What an earlier watcher told, as the folder's measurements keep it."""

import json
import os
import sqlite3
import time
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import DataUnreadable
from phoenix_hypervisor.model.watch import Severity
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch.alerting import Alerting, Condition, plain
from phoenix_hypervisor.watch.store import Reader

_MONTH_S = 30 * 86400.0
_MOST = 5000
_UNTOLD = "nobody could be told yet"


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
    them; also what it could tell nobody yet, which says so. Raises `DataUnreadable`.
    """
    alerting = Alerting(group_s=0, remind_s=_MONTH_S)
    alerting.restore(told(folder))
    kept = _kept(folder)
    found = {one.key: one for one in alerting.active}
    for key, one in kept.items():
        if key in found:
            found[key] = replace(found[key], text=one.text)
        elif not one.sure:
            found[key] = replace(one, text=f"{one.text} ({_UNTOLD})", sure=True)
    return sorted(found.values(), key=lambda one: one.since)


def keep(folder: Path, conditions: Iterable[Condition], untold: Container[str] = ()) -> None:
    """Keeps the words of now of what was told and lasts, which may have another reason by now.

    `untold` are the keys of those that nobody could be told yet. Blocks for the time of a small
    write; where it can't be written, the words of then are shown.
    """
    file = _file(folder)
    written = file.with_suffix(".new")
    told = {
        one.key: {
            "severity": one.severity,
            "guest": one.guest,
            "since": one.since,
            "text": plain(one.text),
            "told": one.key not in untold,
        }
        for one in conditions
    }
    text = json.dumps(told)
    with suppress(OSError):
        fd = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            out.write(text)
        written.replace(file)


def _kept(folder: Path) -> dict[str, Condition]:
    """By their keys; not `sure` are those that nobody was told."""
    try:
        found = json.loads(_file(folder).read_text(encoding="utf-8"))
        return {key: _condition(key, words) for key, words in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # damaged, or none is there: the words of then are shown


def _condition(key: str, words: dict[str, Any]) -> Condition:
    severity: Severity = "page" if words["severity"] == "page" else "ticket"
    guest: Address | Literal[""] = Address(str(words["guest"])) if words["guest"] else ""
    since, text = float(words["since"]), str(words["text"])
    return Condition(key, severity, guest, since, text, sure=bool(words["told"]))


def _file(folder: Path) -> Path:
    return folder / ".phoenix" / "alerts.json"
