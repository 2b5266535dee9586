"""The history: runs that changed something, and one of them with its plan and events."""

import asyncio
from collections.abc import Sequence

from phoenix_hypervisor.history import as_json, reading
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.plan import render
from phoenix_hypervisor.web import parts
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.markup import Html, el, join, link, table

PATH, TITLE, PLACE = "/history", "History", 6
_LATEST = 50
_MOST = 1000


async def build(frame: Frame) -> None:
    """The page; with `?run=ID` that run. It shows the latest; with `&more=1` very many."""
    wanted = frame.request.query_params.get("run")
    most = _MOST if frame.request.query_params.get("more") else _LATEST
    folder = frame.here.desk.folder

    async def listed() -> Html:
        found = await asyncio.to_thread(reading.runs, folder, most + 1)
        return _listed(found, most)

    async def one() -> Html:
        return _whole(await asyncio.to_thread(reading.run, folder, wanted or ""), most)

    await frame.live(one if wanted else listed, 10.0)


def _listed(found: Sequence[PastRun], most: int) -> Html:
    if not found:
        return panel("Runs", el("p", "No run is known: the history is empty.", cls="dim"))
    head = ("Run", "When", "Result", "Command", "Changes", "Took", "Who")
    shown = table(head, map(_line, found[:most]), "Runs, the newest first")
    more = link("older runs", "/history?more=1") if _LATEST == most < len(found) else None
    return panel("Runs", shown, more)


def _line(one: PastRun) -> tuple[object, ...]:
    return (
        link(one.id[:8], f"/history?run={one.id}"),
        el("td", f"{as_json.when(one.began):%Y-%m-%d %H:%M}", cls="num"),
        parts.state(one.result),
        el("td", one.command, cls="says"),
        _counted(one),
        el("td", "" if one.took_s is None else render.seconds(one.took_s), cls="num"),
        one.who,
    )


def _whole(one: PastRun, most: int) -> Html:
    when = f"{as_json.when(one.began):%Y-%m-%d %H:%M:%S}"
    about = el("p", f"{when} · {one.who} on {one.host} · {one.target}", cls="dim")
    changes = [
        el(
            "article",
            el(
                "div",
                el("strong", str(change["action"])),
                f"{change.get('name', '')} {change['address']}",
                parts.state(str(change["impact"])),
                cls="change-head",
            ),
            el("div", str(change["reason"]), cls="dim"),
            cls=f"change {change['impact']}",
        )
        for change in (one.plan or {}).get("changes", ())
    ]
    planned = el("div", *changes, cls="changes") if changes else el("p", _counted(one), cls="dim")
    rows = [
        (
            el("td", f"{event['elapsed_s']:.1f} s", cls="num"),
            event["address"],
            event["step"],
            parts.state(str(event["event"])),
            el("td", event["message"] or "", cls="dim says"),
        )
        for event in one.events[-most:]
    ]
    told = [f"{f['address']} {f['step']}: {f['message']} {f['hint']}" for f in _failed(one)]
    if one.error:
        told.append(one.error)
    left_out = [f"left out: {line}" for line in (one.report or {}).get("left_out", ())]
    head = ("At", "Address", "Step", "State", "Says")
    events = None
    if rows:
        earlier = None
        if _LATEST == most < len(one.events):
            earlier = link(f"all {len(one.events)} events", f"/history?run={one.id}&more=1")
        events = panel("Events", table(head, rows, "Events of this run"), extra=earlier)
    return join(
        el("p", link("All runs", "/history")),
        el(
            "div",
            panel(
                one.command,
                about,
                *(el("p", text) for text in (*told, *left_out)),
                extra=parts.state(one.result),
            ),
            panel("Plan", planned),
            events,
            cls="stack",
        ),
    )


def _failed(one: PastRun) -> list[dict[str, str]]:
    return list((one.report or {}).get("failed", ()))


def _counted(one: PastRun) -> str:
    return ", ".join(f"{count} {action}" for action, count in one.summary.items()) or "none"
