"""Small pieces that several pages show. A state is told by shape and words, not by colour alone."""

from collections.abc import Sequence
from datetime import datetime

from phoenix_hypervisor.history import as_json
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.ledger import Card
from phoenix_hypervisor.watch.slo import Budget
from phoenix_hypervisor.web import plots
from phoenix_hypervisor.web.markup import Html, el, join, link

_STATES = {
    "up": ("●", "healthy", "ok"),
    "running": ("●", "running", "ok"),
    "ok": ("●", "ok", "ok"),
    "down": ("▲", "down", "bad"),
    "failed": ("▲", "failed", "bad"),
    "killed": ("▲", "killed", "bad"),
    "absent": ("○", "absent", "warn"),
    "stopped": ("■", "stopped", "warn"),
    "planned": ("◐", "planned", "warn"),
    "interrupted": ("◐", "interrupted", "warn"),
    "cancelled": ("◐", "broken off", "warn"),
    "started": ("◐", "at work", "dim"),
    "progress": ("◐", "at work", "dim"),
    "retry": ("◐", "tries again", "warn"),
    "finished": ("●", "done", "ok"),
    "skipped": ("□", "left out", "dim"),
    "left-out": ("□", "out of its proxies", "warn"),
    "unknown": ("?", "unknown", "warn"),
    "resting": ("□", "at rest", "dim"),
    "live": ("●", "live", "ok"),
    "restart": ("◐", "restarts it", "warn"),
    "destructive": ("▲", "destroys data", "bad"),
}
_SLOW_MS = 10_000


def state(name: str, words: str = "") -> Html:
    """A state as a shape and a word."""
    shape, text, colour = _STATES.get(name, ("·", name, "dim"))
    sign = el("span", shape, cls="shape", aria_hidden="true")
    return el("span", sign, words or text, cls=f"state {colour}")


def word(name: str) -> str:
    """What a state is called."""
    return _STATES[name][1] if name in _STATES else name


def guest(address: Address, name: str) -> Html:
    """A guest, with the way to its page."""
    return join(link(name, f"/guest/{address}"), " ", el("span", address, cls="dim num"))


def tile(title: str, value: str, more: str, state: str = "") -> Html:
    """A number that matters."""
    return el(
        "div",
        el("span", title, cls="tile-title"),
        el("strong", value, cls="num"),
        el("span", more, cls="dim"),
        cls=f"tile {state}".strip(),
    )


def counted(number: int, word: str) -> str:
    """A number of things, as one says it."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def ms(value: float | None) -> str:
    """Milliseconds, or seconds where there are many."""
    if value is None:
        return "-"
    return f"{value:.0f} ms" if value < _SLOW_MS else f"{value / 1000:.1f} s"


def time_of(moment: float) -> Html:
    """When, with the day where that is not today; the whole of it for machines and as a tip."""
    when = as_json.when(moment)
    whole = when.isoformat(timespec="seconds")
    now = datetime.now(when.tzinfo)
    shown = f"{when:%H:%M:%S}"
    if when.date() != now.date():
        shown = f"{when:%d %b %H:%M}" if when.year == now.year else f"{when:%d %b %Y}"
    return el("time", shown, datetime=whole, title=whole, cls="num")


def ago(moment: float, now: float) -> str:
    """How long ago, in whole minutes at least: it need not be told anew all the time."""
    minutes = int((now - moment) // 60)
    if minutes < 1:
        return "less than a minute ago"
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit} ago"
    return f"{minutes} min ago"


def log(lines: Sequence[tuple[float, object, object]]) -> Html:
    """What happened: when, what, and where."""
    items = [
        el("li", time_of(at), el("span", what), el("span", where, cls="dim"))
        for at, what, where in lines
    ]
    return el("ul", *items, cls="log")


def lines(title: str, texts: Sequence[object], cls: str = "") -> Html | None:
    """A list with a title; None where there is nothing to tell."""
    if not texts:
        return None
    return el("div", el("h3", title), el("ul", *(el("li", one) for one in texts)), cls=cls or None)


def card(one: Card) -> Html:
    """A card of the host, with who has how much of its memory."""
    size = "memory not known" if one.memory_mb is None else f"{one.memory_mb} MiB"
    lines = [
        el(
            "li",
            link(claim.name, f"/guest/{claim.address}"),
            el("span", claim.claim.what, cls="dim"),
            el("span", "?" if claim.mb is None else f"{claim.mb} MiB", cls="num"),
        )
        for claim in one.taken
    ]
    told_ = f"{one.share:.0%} of {one.label} is claimed"
    over = "bad" if one.share > 1 else ""
    return el(
        "div",
        el("div", el("strong", one.label), el("span", size, cls="dim num"), cls="card-head"),
        plots.bar(one.share, told_, over),
        el("ul", *lines, cls="claims") if lines else el("p", "nobody has it", cls="dim"),
        cls="card",
    )


def budget(one: Budget) -> Html:
    """What is left of an error budget."""
    if one.allowed_s <= 0:
        text = "nothing is allowed" if one.left_s >= 0 else "broken"
        return el("span", text)
    left = max(0.0, one.left)
    text = f"{left:.0%} left" if one.left_s >= 0 else "used up"
    kind = "bad" if one.left_s < 0 else "warn" if left < 0.25 else ""  # noqa: PLR2004
    return join(plots.bar(left, f"error budget: {text}", kind), el("span", text, cls="num"))
