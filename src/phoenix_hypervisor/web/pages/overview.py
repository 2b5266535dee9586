"""The overview: what needs attention first, then all guests, cards, budgets and what happened."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from phoenix_hypervisor.app.objectives import PROMISED, Objective, measured
from phoenix_hypervisor.history import reading
from phoenix_hypervisor.history.reading import PastRun
from phoenix_hypervisor.model.watching import Happening
from phoenix_hypervisor.web import parts
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.look import Look
from phoenix_hypervisor.web.markup import Html, el, join, link, table
from phoenix_hypervisor.web.views import guests
from phoenix_hypervisor.web.views.guests import Row

PATH, TITLE, PLACE = "/", "Overview", 1
_SOON = 0.25


@dataclass(frozen=True, slots=True)
class _Seen:
    look: Look
    rows: list[Row]
    promises: list[Objective]
    happened: Sequence[Happening]
    runs: Sequence[PastRun]


async def build(frame: Frame) -> None:
    """The page."""

    async def shown() -> Html:
        seen = await _see(frame)
        return join(
            _tiles(seen),
            el(
                "div",
                el("div", _attention(seen), _guests(seen)),
                el("div", _cards(seen), _promises(seen), _happened(seen)),
                cls="two",
            ),
        )

    await frame.live(shown)


async def _see(frame: Frame) -> _Seen:
    desk, now = frame.here.desk, time.time()
    look = await desk.look()
    happened = await desk.read(lambda reader: reader.happenings(limit=8) if reader else [])
    promises = [
        one
        for one in await asyncio.to_thread(measured, look.desired, now)
        if one.slo.availability is not None
    ]
    runs = await asyncio.to_thread(reading.runs, desk.folder, 5)
    return _Seen(look, guests.rows(look), promises, happened, runs)


def _tiles(seen: _Seen) -> Html:
    well = sum(row.is_well for row in seen.rows)
    alarmed = [row.name for row in seen.rows if row.needs_attention]
    alarmed += [one.name for one in seen.promises if one.burning and one.name not in alarmed]
    watching = "phoenix watch is at work" if seen.look.watched else "phoenix watch does not run"
    if not seen.look.real:
        watching = "simulated: no guest is real"
    cards = seen.look.gpus.cards
    taken = sum(card.taken_mb for card in cards)
    whole = sum(card.memory_mb or 0 for card in cards)
    tiles = [
        parts.tile("Guests well", f"{well} of {len(seen.rows)}", watching),
        _states(seen.rows),
        parts.tile(
            "Need attention",
            str(len(alarmed)),
            ", ".join(alarmed[:3]) or "nothing does",
            state="bad" if alarmed else "",
        ),
    ]
    if cards:
        used = f"{taken / 1024:.1f} of {whole / 1024:.0f} GiB" if whole else "not known"
        tiles.append(parts.tile("GPU memory claimed", used, parts.counted(len(cards), "card")))
    if seen.promises:
        tiles.append(_kept(seen.promises))
    return el("div", *tiles, cls="tiles")


def _kept(promises: Sequence[Objective]) -> Html:
    """How many promises were kept; one that was not watched for long enough was neither."""
    verdicts = [_verdict(one) for one in promises]
    broken, unknown = verdicts.count(False), verdicts.count(None)
    more = ["last 30 days"]
    more += [f"{broken} broken"] if broken else []
    more += [f"{unknown} not known yet"] if unknown else []
    kept = f"{verdicts.count(True)} of {len(verdicts)}"
    return parts.tile("Promises kept", kept, ", ".join(more))


def _verdict(one: Objective) -> bool | None:
    budget = one.windows[PROMISED].budget
    if one.broken:
        return False
    return budget.kept if budget is not None else None


def _states(rows: Sequence[Row]) -> Html:
    """The guests by state."""
    states = [
        parts.state(one, f"{number} {parts.word(one)}") for one, number in guests.counts(rows)
    ]
    nothing = el("span", "the files name none", cls="dim")
    return el(
        "div",
        el("span", "Guests by state", cls="tile-title"),
        el("div", *states, cls="states") if states else nothing,
        cls="tile",
    )


def _attention(seen: _Seen) -> Html | None:
    told: list[Html] = [
        el(
            "li",
            parts.state(row.condition),
            parts.guest(row.address, row.name),
            el("span", row.why),
        )
        for row in guests.worst_first(seen.rows)
        if row.needs_attention
    ]
    for one in seen.promises:
        budget = one.windows[PROMISED].budget
        if one.burning is not None:
            text = f"uses up its budget {one.burning.rate:.1f} times as fast as it may"
            told.append(_line(parts.state("down", "burning"), one, text))
        elif budget is not None and 0 <= budget.left < _SOON:
            text = f"{budget.left:.0%} of its 30 days' budget is left"
            told.append(_line(parts.state("planned", "little left"), one, text))
    if not told:
        return None
    return panel("What needs attention first", el("ul", *told, cls="attention"), cls="alarm")


def _line(state: Html, one: Objective, text: str) -> Html:
    return el("li", state, parts.guest(one.guest, one.name), text)


def _guests(seen: _Seen) -> Html:
    rows = [
        (
            parts.guest(row.address, row.name),
            parts.state(row.condition),
            el("td", parts.ms(row.latency_ms), cls="num"),
            el("td", ", ".join(row.addresses[:2]), cls="num left"),
            el("td", ", ".join(row.features), cls="dim"),
        )
        for row in guests.worst_first(seen.rows)
    ]
    head = ("Guest", "State", "Slowest check", "Addresses", "Features")
    return panel("Guests", table(head, rows, "All guests, the gravest first"))


def _cards(seen: _Seen) -> Html | None:
    if not seen.look.gpus.cards:
        return None
    return panel("Graphics cards", *(parts.card(one) for one in seen.look.gpus.cards))


def _promises(seen: _Seen) -> Html | None:
    if not seen.promises:
        return None
    items = [
        el("li", el("span", parts.guest(one.guest, one.name)), parts.budget(budget))
        for one in seen.promises
        if (budget := one.windows[PROMISED].budget) is not None
    ]
    more = link("all windows", "/slo")
    return panel("Error budgets, 30 days", el("ul", *items, cls="budgets"), extra=more)


def _happened(seen: _Seen) -> Html:
    lines: list[tuple[float, object, object]] = [
        (one.at, f"{one.what}: {one.text}" if one.text else one.what, _where(one, seen.look))
        for one in seen.happened
    ]
    lines += [
        (run.began, f"{run.command} · {run.result}", link(run.id[:6], f"/history?run={run.id}"))
        for run in seen.runs
    ]
    lines.sort(key=lambda line: line[0], reverse=True)
    content = parts.log(lines[:10]) if lines else el("p", "Nothing yet.", cls="dim")
    return panel("What happened", content)


def _where(one: Happening, look: Look) -> object:
    guest = look.desired.guests.get(one.guest) if one.guest else None
    return link(guest.name, f"/guest/{guest.address}") if guest else one.guest
