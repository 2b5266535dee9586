"""One guest: how it is, its checks over time, what it has, what happened, its log, and actions."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from nicegui import ui

from phoenix_hypervisor.app.watching.questions import names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import CloneOf, Guest
from phoenix_hypervisor.model.errors import NotFound, PhoenixError
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.watch import slo
from phoenix_hypervisor.watch.store import Point, Reader
from phoenix_hypervisor.web import parts, plots, work
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.jobs import Job, Work
from phoenix_hypervisor.web.look import Look
from phoenix_hypervisor.web.markup import Html, el, join, link, table
from phoenix_hypervisor.web.views import guests, snapshots
from phoenix_hypervisor.web.views.guests import Row

PATH, TITLE, PLACE = "/guest/{kind}/{ident}", "Guest", 0
_LINES = 200
_WINDOW_S = slo.WINDOWS["1h"]
_PLOTS_S = 15.0
_SNAPSHOTS_S = 30.0
_ENDS = {"cancelled": "broken off"}


async def build(frame: Frame) -> None:
    """The page."""
    address = _address(frame.request)
    known = await _known(frame, address)

    async def shown() -> Html:
        return await _shown(frame, address)

    async def plotted() -> Html:
        return await _plots(frame, address)

    async def held() -> Html:
        return await snapshots.shown(frame.here.desk, address)

    if not known:
        await frame.live(shown)
        return
    changed: list[Callable[[], Any]] = []
    _buttons(frame, address, changed)
    changed.append(await frame.live(shown))
    await frame.live(plotted, _PLOTS_S)
    changed.append(await frame.live(held, _SNAPSHOTS_S))
    await _log(frame, address)


async def _known(frame: Frame, address: Address) -> bool:
    """Whether the files have this guest, whose name the page then bears; wrong files may."""
    try:
        guest = (await frame.here.desk.desired()).guests.get(address)
    except PhoenixError:  # the page's parts tell it
        return True
    frame.rename(guest.name if guest else address)
    return guest is not None


async def _log(frame: Frame, address: Address) -> None:
    """The log, once it is asked for."""
    wanted = {"on": False}

    async def read() -> Html:
        if not wanted["on"]:
            return el("p", "Not asked for yet.", cls="dim")
        lines = await frame.here.desk.logs.last_lines(address, _LINES)
        return el("pre", "\n".join(lines) or "It says nothing.")

    with ui.element("section").classes("panel"):
        ui.html(el("header", el("h2", "Log")), tag="div")
        # It scrolls from its end, and stays there while lines come.
        with ui.element("div").classes("logs").props('tabindex="0" role="log" aria-label="Log"'):
            refresh = await frame.live(read, 3.0)

        async def turn() -> None:
            wanted["on"] = not wanted["on"]
            show.set_visibility(not wanted["on"])
            end.set_visibility(wanted["on"])
            await refresh()

        show = frame.button("Show the log live", turn, reads=True)
        end = frame.button("Stop the log", turn, reads=True)
        end.set_visibility(False)


def _address(request: Request) -> Address:
    return Address(f"{request.path_params['kind']}/{request.path_params['ident']}")


def _buttons(frame: Frame, address: Address, changed: Sequence[Callable[[], Any]]) -> None:
    """What can be done; `changed` are the parts that are made again when it was."""
    box = ui.element("div").classes("actions")
    told = ui.html("", tag="div").props('aria-live="polite"')

    async def begin(kind: str, doing: Work) -> None:
        if address not in (await frame.here.desk.desired()).guests:
            raise NotFound(f"{address} is not in the files")
        job = frame.here.jobs.begin(kind, address, frame.caller, doing)

        async def tell() -> None:
            told.content = _job(job)
            if job.ended is not None:
                for refresh in changed:
                    await refresh()

        frame.follow(job, tell)

    desk = frame.here.desk
    with box:
        frame.button("Check now", lambda: begin("check", work.check(desk, [address])), "main")
        frame.button(
            "Take a snapshot", lambda: begin("snapshot", work.snapshot(desk, address, None))
        )
        _twice(frame, lambda: begin("restart", work.restart(desk, address)))


def _twice(frame: Frame, act: Any) -> None:
    """A restart is asked for, then confirmed."""

    async def first() -> None:
        asked.set_visibility(False)
        sure.set_visibility(True)
        never.set_visibility(True)

    async def back() -> None:
        asked.set_visibility(frame.caller.may_act)
        sure.set_visibility(False)
        never.set_visibility(False)

    async def really() -> None:
        await back()
        await act()

    asked = frame.button("Restart…", first, "danger")
    sure = frame.button("Yes, restart it", really, "danger")
    never = frame.button("No", back)
    sure.set_visibility(False)
    never.set_visibility(False)


def _job(job: Job) -> Html:
    last = job.events[-1] if job.events and job.ended is None else None
    result = job.result or {}
    told = [f"{last['step']} {last['event']}: {last['message']}"] if last else []
    told += [f"{one['step']}: {one['message']} {one['hint']}" for one in result.get("failed", ())]
    told += result.get("notes", ())
    if job.error:
        told.append(f"{job.error} {job.hint}")
    words = job.kind if job.ended is None else f"{job.kind}: {_ENDS.get(job.state, job.state)}"
    state = parts.state("progress" if job.ended is None else job.state, words)
    return el("p", state, " ", " · ".join(told))


async def _shown(frame: Frame, address: Address) -> Html:
    desk = frame.here.desk
    look = await desk.look()
    guest = look.desired.guests.get(address)
    if guest is None:
        raise NotFound(f"{address} is not in the files", hint="the overview lists all guests")
    happened = await desk.read(
        lambda reader: reader.happenings(guest=address, limit=20) if reader else []
    )
    row = next(one for one in guests.rows(look) if one.address == address)
    return join(
        _head(row, guest),
        el(
            "div",
            el("div", panel("Checks", *_answers(row, guest)), _routes(guest), cls="stack"),
            el("div", _facts(guest, look), _happened(happened)),
            cls="two",
        ),
    )


async def _plots(frame: Frame, address: Address) -> Html:
    """The checks over the last hour. It changes once a minute: then all of it is sent anew."""
    desk, now = frame.here.desk, time.time()
    guest = (await desk.desired()).guests.get(address)
    if guest is None:
        return Html("")
    start, _, _ = plots.grid(now, _WINDOW_S)

    def read(reader: Reader | None) -> dict[str, list[Point]]:
        if reader is None:
            return {}
        return {name: reader.plot(address, name, start, now) for name in names(guest)}

    found = await desk.read(read)
    limit = guest.slo.latency_p95_ms if guest.slo else None
    drawn = [
        el(
            "div",
            el("header", el("h3", name), el("span", _percentiles(points), cls="dim num")),
            plots.latency(points, now, _WINDOW_S, limit),
        )
        for name, points in found.items()
        if points
    ]
    if not drawn:
        return Html("")
    promise = f"promised: {limit:g} ms" if limit else ""
    return panel("Latency, last hour", el("div", *drawn, cls="plots"), extra=plots.legend(promise))


def _percentiles(points: Sequence[Point]) -> str:
    values = [one.p50_ms for one in points if one.p50_ms is not None]
    if not values:
        return "no answer"
    found = plots.spread(values)
    return f"p50 {parts.ms(found.p50)} · p95 {parts.ms(found.p95)} · p99 {parts.ms(found.p99)}"


def _head(row: Row, guest: Guest) -> Html:
    return el(
        "div",
        parts.tile("Address", guest.address, guest.description or ", ".join(row.addresses)),
        el(
            "div",
            el("span", "State", cls="tile-title"),
            parts.state(row.condition),
            el("span", row.why, cls="dim"),
            cls="tile",
        ),
        parts.tile(
            "Slowest check", parts.ms(row.latency_ms), parts.counted(len(row.checks), "check")
        ),
        cls="tiles",
    )


def _answers(row: Row, guest: Guest) -> list[Html]:
    """What the checks said last; where none was asked lately, which there are."""
    if not guest.checks and not row.checks:
        return [el("p", "This guest has none.", cls="dim")]
    if not row.checks:
        names = [el("li", f"{check.title} ({check.kind})") for check in guest.checks]
        return [el("p", "Not asked now.", cls="dim"), el("ul", *names)]
    rows = [
        (
            el("td", one.name, cls="wrap"),
            parts.state(one.health),
            el("td", parts.ms(one.latency_ms), cls="num"),
            el("td", parts.time_of(one.at), cls="num"),
            el("td", one.message, cls="dim says"),
        )
        for one in row.checks
    ]
    head = ("Check", "State", "Took", "Asked", "Says")
    return [table(head, rows, "Checks of this guest")]


def _facts(guest: Guest, look: Look) -> Html:
    source = guest.source
    made = (
        join("cloned from ", link(source.address, f"/guest/{source.address}"))
        if isinstance(source, CloneOf)
        else source.template
    )
    known = look.desired.guests
    needs = [
        el("li", parts.guest(one, known[one].name) if one in known else one)
        for one in guest.dependencies
    ]
    pairs: list[tuple[str, object]] = [
        ("Made", made),
        ("Size", f"{parts.counted(guest.cores, 'core')}, {guest.memory_mb} MiB"),
        ("Disk", f"{guest.disk_gb} GiB on {guest.pool}" if guest.disk_gb else "as its source"),
        ("Network", ", ".join(f"{nic.bridge} {nic.address or ''}" for nic in guest.nics) or "none"),
        ("Features", ", ".join(use.name for use in guest.features) or "none"),
        ("Graphics cards", ", ".join(map(str, guest.gpus)) or "none"),
        ("Needs", el("ul", *needs, cls="plain") if needs else "nothing"),
    ]
    told = [join(el("dt", name), el("dd", value)) for name, value in pairs]
    return panel("What it is", el("dl", *told, cls="facts"))


def _routes(guest: Guest) -> Html | None:
    if not guest.routes:
        return None
    rows = [
        (
            f"{one.host}{one.path}" if one.host else f"{one.path} on every host",
            "model servers" if one.port is None else f"port {one.port}",
            one.auth.kind if one.auth else "open to all",
        )
        for one in guest.routes
    ]
    return panel("Routes", table(("Path", "Leads to", "Login"), rows, "Routes of this guest"))


def _happened(happened: Sequence[Happening]) -> Html:
    lines = [
        (one.at, f"{one.what}: {one.text}" if one.text else one.what, one.step) for one in happened
    ]
    nothing = el("p", "Nothing that was watched.", cls="dim")
    return panel("What happened", parts.log(lines) if lines else nothing)
