"""Runs as JSON: what `phoenix --json history` prints, and the dashboard's API answers."""

from datetime import datetime
from typing import Any

from phoenix_hypervisor.history.reading import PastRun


def line(one: PastRun) -> dict[str, Any]:
    """One line of `history`."""
    return {
        "id": one.id,
        "began": when(one.began).isoformat(timespec="seconds"),
        "ended": when(one.ended).isoformat(timespec="seconds") if one.ended else None,
        "took_s": None if one.took_s is None else round(one.took_s, 3),
        "who": one.who,
        "host": one.host,
        "command": one.command,
        "target": one.target,
        "stack": one.stack,
        "version": one.version,
        "commit": one.commit,
        "dirty": one.dirty,
        "summary": dict(one.summary),
        "result": one.result,
        "error": one.error or None,
    }


def whole(one: PastRun) -> dict[str, Any]:
    """`history RUN`: with its plan, events and report."""
    return line(one) | {"plan": one.plan, "events": list(one.events), "report": one.report}


def when(moment: float) -> datetime:
    """Unix time as local time, with how far that is from UTC."""
    return datetime.fromtimestamp(moment).astimezone()
