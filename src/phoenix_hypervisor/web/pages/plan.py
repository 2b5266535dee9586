"""The plan: what would change, coloured by what it costs; and applying exactly that."""

import asyncio
import json
from typing import Any

from nicegui import ui

from phoenix_hypervisor.model.address import Address, is_guest
from phoenix_hypervisor.model.change import Action, Change, FieldChange
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.plan import render
from phoenix_hypervisor.web import parts, work
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.jobs import Job
from phoenix_hypervisor.web.markup import Html, el, join, table
from phoenix_hypervisor.web.work import Planned

PATH, TITLE, PLACE = "/plan", "Plan", 2
_LONG = 400
_MOST_LINES = 60


_ENDS = {"ok": "Applied", "failed": "It failed", "cancelled": "Broken off"}
_NO_PLAN = "There is no plan now: look again."


class _Page:
    """What this page shows. `named` are guests that may lose data."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.desk = frame, frame.here.desk
        self.planned: Planned | None = None
        self.job: Job | None = None
        self.named: set[Address] = set()
        self._looking = asyncio.Lock()
        with ui.element("div").classes("actions"):
            self.apply_button = frame.button("Apply this plan", self.begin, "main")
            self.cancel_button = frame.button("Break it off", self.cancel, "danger")
            self.look_button = frame.button("Look again", self.look, reads=True)
        self.names = ui.element("div").classes("actions")
        self.progress = ui.html("", tag="div").props('aria-live="polite"').classes("stack")
        self.shown = ui.html(el("p", "Making a plan…", role="status"), tag="div")
        self.turn_buttons()

    @property
    def works(self) -> bool:
        """Whether an apply is under way."""
        return self.job is not None and self.job.ended is None

    def turn_buttons(self) -> None:
        """Only those that make sense now."""
        may, works = self.frame.caller.may_act, self.works
        changes = self.planned is not None and bool(self.planned.plan.changes)
        self.apply_button.set_visibility(may and changes and not works)
        self.cancel_button.set_visibility(may and works)
        self.look_button.set_visibility(not works)

    async def first(self) -> None:
        """What is there when the page opens: an apply that is under way, else a plan."""
        jobs = self.frame.here.jobs.all()
        running = next((one for one in jobs if one.kind == "apply" and one.ended is None), None)
        if running is None:
            await self.look()
        else:
            self.follow(running)

    async def look(self) -> None:
        """A new plan in the place of the old one. Raises `PhoenixError`: then there is none."""
        if self._looking.locked() or self.works:
            return
        async with self._looking:
            self.planned = None
            try:
                self.planned = await work.plan(self.desk)
            finally:
                self.named.clear()
                self.names.clear()
                self.shown.content = el("p", _NO_PLAN) if self.planned is None else ""
                self.turn_buttons()
            self.shown.content = _plan(self.planned)
            self.ask_for_names(self.planned)

    def ask_for_names(self, planned: Planned) -> None:
        """What destroys data has to be named, one by one, as on the command line."""
        if not self.frame.caller.may_act:
            return
        with self.names:
            for address in planned.destroyed:
                with ui.element("label").classes("choice"):
                    box = ui.element("input").props('type="checkbox"')
                    ui.html(el("span", f"{address} may lose data"), tag="span")

                def ticked(is_on: object, one: Address = address) -> None:
                    (self.named.add if is_on is True else self.named.discard)(one)

                self.frame.on(box, "change", ticked, js="(event) => emit(event.target.checked)")

    async def begin(self) -> None:
        """Applies what is shown. Raises `PhoenixError` where that must not be."""
        planned = self.planned
        if planned is None or self.works or self._looking.locked():
            return
        if planned.plan.refusals:
            raise PhoenixError("it can't be applied: what stands below is in the way")
        if missing := [one for one in planned.destroyed if one not in self.named]:
            raise PhoenixError(f"{', '.join(missing)} would lose data: tick it first, if it may")
        named = sorted(self.named)
        doing = work.apply(self.desk, planned, named)
        jobs, caller = self.frame.here.jobs, self.frame.caller
        about = planned.about(named)
        self.follow(jobs.begin("apply", planned.plan.stack, caller, doing, about))

    def cancel(self) -> None:
        """Breaks the apply off, in order."""
        if self.job is not None and self.works:
            self.frame.here.jobs.cancel(self.job, self.frame.caller)

    def follow(self, job: Job) -> None:
        """Shows an apply as it goes, and then how the world is."""
        self.job = job
        self.names.clear()
        self.shown.content = ""
        self.turn_buttons()

        async def told() -> None:
            self.progress.content = _progress(job)
            if job.ended is not None:
                try:
                    await self.look()
                except PhoenixError as error:
                    self.frame.say(self.desk.hide(error.message), bad=True)

        self.frame.follow(job, told)


async def build(frame: Frame) -> None:
    """The page."""
    page = _Page(frame)
    frame.later(page.first, page.shown)


def _plan(planned: Planned) -> Html:
    plan = planned.plan
    content: list[object] = []
    if plan.refusals:
        refused = el("ul", *(el("li", text) for text in plan.refusals))
        content.append(panel("It can't be applied", refused, cls="alarm"))
    if plan.changes:
        title = ", ".join(f"{count} to {action}" for action, count in plan.summary.items())
        aside = el("span", render.about(plan.estimate_s), cls="dim")
        changes = el("div", *map(_change, plan.changes), cls="changes")
        content.append(panel(title, changes, extra=aside))
    elif not plan.refusals:
        content.append(
            panel("No changes", el("p", "The world is as the files say.", cls="dim"), cls="ready")
        )
    notes = [*planned.warnings, *plan.notes]
    notes += [f"kept, though no file names it: {one}" for one in plan.kept]
    if notes:
        content.append(panel("Notes", el("ul", *(el("li", note) for note in notes))))
    return el("div", *content, cls="stack")


def _change(change: Change) -> Html:
    head = el(
        "div",
        el("strong", f"{change.action.symbol} {change.action.value}"),
        el("span", change.name, " ", el("span", change.address, cls="dim num")),
        parts.state(change.impact.value, _cost(change)),
        el("span", render.about(change.estimate_s), cls="dim"),
        cls="change-head",
    )
    after = el("p", f"after {', '.join(change.after)}", cls="dim") if change.after else None
    return el(
        "article",
        head,
        el("div", change.reason, cls="dim"),
        _details(change),
        after,
        cls=f"change {change.impact.value}",
    )


def _details(change: Change) -> Html | None:
    """What it changes, field by field; of a new guest, what it will be."""
    if not change.fields:
        return None
    if change.action is not Action.CREATE or not is_guest(change.address):
        return el("dl", *map(_field, change.fields))
    rules = [el("li", rule) for rule in render.rules(change.fields)]
    every = el("details", el("summary", "All of it"), el("dl", *map(_field, change.fields)))
    new = el("p", render.new(change.fields))
    return join(new, el("ul", *rules) if rules else None, every)


def _cost(change: Change) -> str:
    return "live; its services may restart" if render.may_restart_services(change) else ""


def _field(one: FieldChange) -> Html:
    if one.told:
        value: object = el("dd", one.told)
    else:
        before = None if one.before is None else el("del", _short(one.before))
        after = None if one.after is None else el("ins", _short(one.after))
        value = el("dd", before, " " if before and after else None, after)
    return join(
        el("dt", one.path), value, el("dd", _diff(one.diff), cls="whole") if one.diff else None
    )


def _diff(whole: str) -> Html:
    """A diff's lines, coloured; of very many the first."""
    lines = whole.splitlines()
    names = {"+": "ins", "-": "del"}
    told = [
        el("span", f"{line[:_LONG]}\n", cls=names.get(line[:1])) for line in lines[:_MOST_LINES]
    ]
    if len(lines) > _MOST_LINES:
        told.append(el("span", f"… {len(lines) - _MOST_LINES} more lines"))
    return el("pre", *told, cls="diff", tabindex="0", role="region", aria_label="The difference")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _progress(job: Job) -> Html:
    """Each address with the step it is at, the last first."""
    latest: dict[str, dict[str, Any]] = {}
    for event in job.events:
        address = str(event["address"])
        kept = latest.pop(address, {})
        latest[address] = {**kept, **event}
    rows = [
        (
            el("td", address, cls="num"),
            el("td", str(event["step"]), cls="now" if event["event"] == "started" else None),
            parts.state(str(event["event"])),
            el("td", f"{event['elapsed_s']:.1f} s", cls="num"),
            el("td", event["message"] or "", cls="dim says"),
        )
        for address, event in reversed(latest.items())
    ]
    title = _ENDS.get(job.state, job.state)
    if job.ended is None:
        left = next((e["left_s"] for e in reversed(job.events) if "left_s" in e), None)
        title = "Applying" + (f", {render.about(left)} left" if left is not None else "")
    result = job.result or {}
    failed = [
        f"{one['address']} {one['step']}: {one['message']} {one['hint']}"
        for one in result.get("failed", ())
    ]
    if job.error:
        failed.append(f"{job.error}: {job.hint}" if job.hint else job.error)
    told = [
        parts.lines("Found", result.get("found", ())),
        parts.lines("Half done", result.get("half_done", ())),
        parts.lines("Left out of the proxies", result.get("left_out", ())),
        parts.lines("Notes", result.get("notes", ())),
        parts.lines("Done as root on the host", result.get("rooted", ()), "dim"),
    ]
    shown = table(("Address", "Step", "State", "At", "Says"), rows, "Progress by address")
    return panel(
        title,
        *(el("p", text) for text in failed),
        el("div", shown, cls="steps") if rows else None,
        *told,
        cls="alarm" if job.state == "failed" else "",
        extra=parts.state("progress" if job.ended is None else job.state),
    )
