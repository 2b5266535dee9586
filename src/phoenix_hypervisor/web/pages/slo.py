"""Objectives: what was promised, what was kept, and what is left of the error budgets."""

import asyncio
import time
from collections.abc import Sequence

from phoenix_hypervisor.app.objectives import Kept, Objective, measured
from phoenix_hypervisor.plan import render
from phoenix_hypervisor.web import parts
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.markup import Html, el, table

PATH, TITLE, PLACE = "/slo", "Objectives", 5


async def build(frame: Frame) -> None:
    """The page."""

    async def shown() -> Html:
        desired = await frame.here.desk.desired()
        found = await asyncio.to_thread(measured, desired, time.time())
        if not any(kept.watched for one in found for kept in one.windows.values()):
            text = "Nothing is measured yet: `phoenix watch` does that."
            return panel("Objectives", el("p", text, cls="dim"))
        promised = [one for one in found if _promises(one)]
        others = [one for one in found if not _promises(one)]
        promised.sort(key=lambda one: (not one.broken, one.burning is None))
        return el("div", *map(_objective, promised), _others(others), cls="stack")

    await frame.live(shown, 10.0)


def _promises(one: Objective) -> bool:
    return one.slo.availability is not None or one.slo.latency_p95_ms is not None


def _others(found: Sequence[Objective]) -> Html | None:
    """Those that promise nothing, and how they were all the same."""
    if not found:
        return None
    windows = list(found[0].windows)
    rows = [
        (parts.guest(one.guest, one.name), *(_share(one.windows[window]) for window in windows))
        for one in found
    ]
    head = ("Guest", *(f"Available, {window}" for window in windows))
    title = "Guests that promise nothing"
    return panel(title, table(head, rows, title))


def _share(kept: Kept) -> Html:
    share = kept.totals.availability
    return el("td", "not known" if share is None else f"{share * 100:.3f} %", cls="num")


def _objective(one: Objective) -> Html:
    rows = [_row(name, kept) for name, kept in one.windows.items()]
    head = ("Window", "Available", "Budget left", "Up", "In time", "Down", "Planned", "Watched")
    promised = [
        f"{one.slo.availability:g} % available" if one.slo.availability is not None else "",
        f"95 of 100 answers in {one.slo.latency_p95_ms:g} ms" if one.slo.latency_p95_ms else "",
    ]
    words = ", ".join(filter(None, promised))
    burns = None
    if one.burning is not None:
        burns = parts.state("down", f"burns {one.burning.rate:.1f} times too fast")
    title = f"{one.name}: {words}"
    return panel(title, table(head, rows, title), extra=burns)


def _row(name: str, kept: Kept) -> tuple[object, ...]:
    budget = kept.budget
    left = "-"
    if budget is not None:
        left = render.seconds(budget.left_s) if budget.left_s > 0 else "used up"
    return (
        name,
        _share(kept),
        el("td", left, cls="num"),
        _kept(budget.kept if budget is not None else None, promised=budget is not None),
        _kept(kept.in_time, promised=kept.in_time is not None),
        _time(kept.totals.down_s),
        _time(kept.totals.planned_s),
        el("td", f"{kept.watched:.0%}", cls="num"),
    )


def _time(length_s: float) -> Html:
    return el("td", render.seconds(length_s) if length_s else "-", cls="num")


def _kept(value: bool | None, *, promised: bool) -> Html:
    if not promised:
        return el("span", "-", cls="dim")
    states = {True: ("ok", "kept"), False: ("failed", "broken"), None: ("unknown", "not known")}
    return parts.state(*states[value])
