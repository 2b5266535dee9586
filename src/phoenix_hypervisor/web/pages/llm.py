"""Language models: how soon and how fast they answer, against their lines; and a playground."""

import time
from collections.abc import Sequence

from nicegui import ui

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.watch import slo
from phoenix_hypervisor.watch.store import Point
from phoenix_hypervisor.web import parts, plots, work
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.jobs import Job
from phoenix_hypervisor.web.markup import Html, el, link
from phoenix_hypervisor.web.views import llm
from phoenix_hypervisor.web.views.llm import Seen, Server

PATH, TITLE, PLACE = "/llm", "Models", 4
_WINDOW_S = slo.WINDOWS["1h"]
_STEPS = 12
"""A model is asked once a minute: some answers for each point of a line."""
_LINE_MS, _FAR = 2000.0, 5.0
"""What people wait for gladly; objectives of so many times that are drawn at it."""
_MOST_TOKENS = 512
_MOST_LETTERS = 8000


async def build(frame: Frame) -> None:
    """The page."""
    desk = frame.here.desk

    async def shown() -> Html:
        desired, now = await desk.desired(), time.time()
        start, _, _ = plots.grid(now, _WINDOW_S, _STEPS)
        found = await desk.read(lambda reader: llm.seen(desired, reader, start, now))
        checks: list[Html] = [_check(one, now) for one in found]
        if not any(one.answer for one in found):
            text = "No check `llm` was watched yet: `phoenix watch` asks them."
            checks = [panel("Speed", el("p", text, cls="dim"))]
        return el("div", _servers(list(llm.servers(desired))), *checks, cls="stack")

    await frame.live(shown)
    if frame.caller.may_act:
        await _playground(frame)


def _servers(found: Sequence[Server]) -> Html:
    items = [
        el(
            "li",
            link(one.name, f"/guest/{one.guest}"),
            el("span", one.feature, cls="dim"),
            el("span", one.model or "models of its own"),
        )
        for one in found
    ]
    content = el("ul", *items, cls="attention") if items else el("p", "None.", cls="dim")
    return panel("Model servers", content)


def _check(one: Seen, now: float) -> Html:
    if one.answer is None:
        return panel(
            f"{one.name}: {one.question.name}",
            el("p", "Not asked yet.", cls="dim"),
            extra=parts.state("unknown"),
        )
    asked = f"asked {parts.ago(one.answer.at, now)}"
    return panel(
        f"{one.name}: {one.question.name}",
        el("p", one.answer.message, cls="dim") if one.answer.message else None,
        el(
            "div",
            _plot("Whole answers", llm.WHOLE, one.points, now, one.total_ms),
            _plot("Time to first token", llm.FIRST, one.points, now, one.first_token_ms),
            _plot("Tokens per second", llm.SPEED, one.points, now),
            cls="plots",
        ),
        extra=el("span", el("span", asked, cls="dim"), " ", parts.state(one.state)),
    )


def _plot(
    title: str, number: str, points: Sequence[Point], now: float, limit: float | None = None
) -> Html:
    start, end, step = plots.grid(now, _WINDOW_S, _STEPS)
    unit = "tokens/s" if number == llm.SPEED else "ms"

    def value(point: Point) -> float | None:
        whole = plots.answered_ms(point) if number == llm.WHOLE else None
        return point.numbers.get(number, whole)

    known = [found for point in points if (found := value(point)) is not None]
    told = "not known"
    if known:
        all_of_it = plots.spread(known)
        shown = (all_of_it.p50, all_of_it.p95, all_of_it.p99)
        told = " · ".join(
            f"p{p} {_told(one, unit)}" for p, one in zip((50, 95, 99), shown, strict=True)
        )
        if unit != "ms":
            told = f"median {_told(all_of_it.p50, unit)}, least {_told(min(known), unit)}"
    marks = [point.at for point in points if point.failed] if number == llm.WHOLE else []
    lines = plots.lines_of(plots.gathered(points, step, value))
    if unit != "ms":
        lines = lines[1:]
    line = f"objective: 95 of 100 in {limit / 1000:g} s" if limit else ""
    if limit is not None and limit > _LINE_MS * _FAR:  # that is for a start, and no objective
        line, limit = f"the 2 s line (its check allows {limit / 1000:g} s)", _LINE_MS
    return el(
        "div",
        el("header", el("h3", title), el("span", told, cls="dim num")),
        plots.chart(
            lines, (start, end), unit=unit, told=f"{title}: {told}", limit=limit, marks=marks
        ),
        plots.legend(line) if unit == "ms" else None,
    )


def _told(value: float, unit: str) -> str:
    return parts.ms(value) if unit == "ms" else f"{value:.1f}"


async def _playground(frame: Frame) -> None:
    """Asks a model through its route; what it says comes as it is said."""
    try:
        servers = list(llm.servers(await frame.here.desk.desired(), chat=True))
    except PhoenixError:  # the page's other part tells it
        return
    asked = {"text": "", "which": "0"}
    running: list[Job] = []
    with ui.element("section").classes("panel"):
        ui.html(el("header", el("h2", "Playground")), tag="div")
        if not servers:
            ui.html(el("p", "The files name no model for chats.", cls="dim"), tag="div")
            return
        # What a browser keeps of a form and what the server knows would differ: no autofill.
        ui.html(el("label", "Model", for_="model"), tag="div")
        chosen = ui.element("select").props('id="model" autocomplete="off"').classes("narrow")
        with chosen:
            for number, one in enumerate(servers):
                text = f"{one.name}: {one.model or one.feature}"
                with ui.element("option").props(f'value="{number}"'):
                    ui.html(el("span", text), tag="span")
        ui.html(el("label", "Question", for_="question"), tag="div")
        box = ui.element("textarea").props('id="question" rows="3" autocomplete="off"')
        value = "(event) => emit(event.target.value)"
        frame.on(chosen, "change", lambda it: asked.update(which=str(it)), js=value)
        frame.on(box, "input", lambda it: asked.update(text=str(it)[:_MOST_LETTERS]), js=value)
        said = ui.html("", tag="div").classes("answer").props('aria-live="polite" role="log"')

        def ask() -> None:
            if running and running[-1].ended is None:
                return
            if not asked["text"].strip():
                frame.say("Write a question first.", bad=True)
                return
            number = int(asked["which"]) if asked["which"].isdecimal() else 0
            one = servers[min(number, len(servers) - 1)]
            doing = work.chat(frame.here.desk, one.guest, one.model, asked["text"], _MOST_TOKENS)
            job = frame.here.jobs.begin("chat", one.guest, frame.caller, doing, one.model or "")
            running[:] = [job]

            async def shown() -> None:
                said.content = _answer(job)

            frame.follow(job, shown)

        def stop() -> None:
            if running and running[-1].ended is None:
                frame.here.jobs.cancel(running[-1], frame.caller)

        with ui.element("div").classes("actions"):
            frame.button("Ask", ask, "main")
            frame.button("Stop", stop)
        frame.client.on_delete(stop)  # nobody reads on


def _answer(job: Job) -> Html:
    result = job.result or {}
    text = result.get("answer") or "".join(event["message"] for event in job.events)
    if job.error:
        return el("p", parts.state(job.state), " ", text, " ", job.error, " ", job.hint)
    if job.ended is None:
        return el("span", text or "…")
    took = f"first word after {result['first_s']} s, all in {result['whole_s']} s"
    if result["first_s"] is None:
        took = f"an empty answer after {result['whole_s']} s"
    return el("div", el("div", text), el("p", took, cls="dim num"))
