"""Runs that tests write into a history."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.history.recorder import Begun, Recorder
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.event import Event, EventKind

WEB = lxc(101)


def begun(ident: str, **words: Any) -> Begun:
    """A run that creates one guest."""
    given: dict[str, Any] = {
        "id": ident,
        "command": "phoenix apply --yes",
        "target": "sim",
        "stack": "lab",
        "version": "1",
        "summary": {"create": 1},
        "plan": lambda: {"changes": []},
        "works": {(WEB, "create"): ("create a",), (WEB, "start"): ("start a", "start b")},
    }
    return Begun(**(given | words))


def event(
    kind: EventKind, step: str, elapsed_s: float, message: str = "", address: Address = WEB
) -> Event:
    """Something that happened to the guest."""
    return Event(kind, address, "create", step, elapsed_s, message)


def keep(
    folder: Path, ident: str, events: Sequence[Event] = (), result: str = "ok", **words: Any
) -> str:
    """Writes a whole run; the trouble that there was."""
    recorder = Recorder(folder, begun(ident, **words))
    for one in events:
        recorder.take(one)
    recorder.end(result, {"ok": result == "ok"})
    return recorder.trouble
