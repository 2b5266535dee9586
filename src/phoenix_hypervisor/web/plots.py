"""Small plots as SVG, drawn here: no script, and readable without seeing them."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.watch.store import Point
from phoenix_hypervisor.web.markup import Html, el, join

_W, _H = 600, 140
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 6, 10, 28

STEPS = 60
Line = Sequence[tuple[float, float]]
Value = Callable[[Point], float | None]


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of some values."""

    p50: float
    p95: float
    p99: float


def grid(now: float, window_s: float, steps: int = STEPS) -> tuple[float, float, float]:
    """Begin, end and step of a window that ends now, in seconds of Unix time.

    Its edges lie on whole steps, so that a plot changes once in a step and not at every look.
    """
    step = window_s / steps
    end = math.ceil(now / step) * step
    return end - window_s, end, step


def gathered(points: Iterable[Point], step_s: float, value: Value) -> list[tuple[float, Spread]]:
    """Percentiles of a value over each step, at its middle; steps without one are left out."""
    by: dict[int, list[float]] = {}
    for point in points:
        if (found := value(point)) is not None:
            by.setdefault(int(point.at // step_s), []).append(found)
    return [((step + 0.5) * step_s, spread(values)) for step, values in sorted(by.items())]


def spread(values: Sequence[float]) -> Spread:
    """Nearest-rank percentiles of some values, of which there is at least one."""
    ranked = sorted(values)
    p50, p95, p99 = (
        ranked[max(0, math.ceil(share * len(ranked) / 100) - 1)] for share in (50, 95, 99)
    )
    return Spread(p50, p95, p99)


def latency(
    points: Sequence[Point],
    now: float,
    window_s: float,
    limit_ms: float | None,
    steps: int = STEPS,
) -> Html:
    """Median and 95th percentile over time, failures as ticks below, the promise as a line."""
    start, end, step = grid(now, window_s, steps)
    found = gathered(points, step, answered_ms)
    failed = sorted({(int(p.at // step) + 0.5) * step for p in points if p.failed})
    told = "no answer is known"
    if known := [one for point in points if (one := answered_ms(point)) is not None]:
        all_of_it = spread(known)
        told = f"median {all_of_it.p50:.0f} ms, 95 of 100 within {all_of_it.p95:.0f} ms"
    count = sum(point.failed for point in points)
    return chart(
        lines_of(found),
        (start, end),
        limit=limit_ms,
        marks=failed,
        unit="ms",
        told=f"Latency: {told}; {count} failed",
    )


def answered_ms(point: Point) -> float | None:
    """The median of good answers; what only failed may have been refused at once."""
    return point.p50_ms if point.failed < point.answers else None


def lines_of(found: Sequence[tuple[float, Spread]]) -> list[tuple[str, Line]]:
    """The lines of percentiles, the most important one last: it is drawn above the other."""
    return [
        ("p95", [(at, one.p95) for at, one in found]),
        ("p50", [(at, one.p50) for at, one in found]),
    ]


def legend(limit: str = "") -> Html:
    """What the lines are; `limit` in words, where there is one."""
    told = [("p50", "median"), ("p95", "95 of 100")]
    told += [("limit", limit)] if limit else []
    marks = [
        el("span", el("span", cls=f"key {name}", aria_hidden="true"), words) for name, words in told
    ]
    return el("div", *marks, cls="legend dim")


def chart(
    lines: Sequence[tuple[str, Line]],
    window: tuple[float, float],
    *,
    unit: str,
    told: str,
    limit: float | None = None,
    marks: Sequence[float] = (),
) -> Html:
    """Lines over a window (Unix times). `told` is the same in words. `limit`: a level to keep."""
    values = [value for _, line in lines for _, value in line]
    top = _round_up(max([*values, (limit or 0) * 1.1], default=1.0))
    start, end = window

    def x(at: float) -> float:
        return _LEFT + (_W - _LEFT - _RIGHT) * (at - start) / max(end - start, 1e-9)

    def y(value: float) -> float:
        return _H - _BOTTOM - (_H - _TOP - _BOTTOM) * value / top

    parts: list[Html] = []
    for share in (0, 0.5, 1):
        at = y(top * share)
        parts.append(el("line", x1=_LEFT, x2=_W - _RIGHT, y1=at, y2=at, cls="grid"))
        parts.append(el("text", f"{top * share:g}", x=_LEFT - 6, y=at + 5, cls="axis right"))
    for name, line in lines:
        shown = [(at, value) for at, value in line if start <= at <= end]
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in shown)
        parts.append(el("polyline", points=path, cls=f"line {name}"))
        if len(shown) == 1:
            at, value = shown[0]
            parts.append(el("circle", cx=f"{x(at):.1f}", cy=f"{y(value):.1f}", r=2, cls="dot"))
    if limit is not None:
        parts.append(el("line", x1=_LEFT, x2=_W - _RIGHT, y1=y(limit), y2=y(limit), cls="limit"))
    parts += [
        el("rect", x=f"{x(at) - 1:.1f}", y=_H - _BOTTOM + 1, width=2, height=6, cls="mark")
        for at in marks
        if start <= at <= end
    ]
    hours = (end - start) / 3600
    back = f"{hours / 24:g} d ago" if hours >= 48 else f"{hours:g} h ago"  # noqa: PLR2004
    parts.append(el("text", back, x=_LEFT, y=_H - 8, cls="axis"))
    parts.append(el("text", f"now · {unit}", x=_W - _RIGHT, y=_H - 8, cls="axis right"))
    return el(
        "svg", join(*parts), viewBox=f"0 0 {_W} {_H}", cls="plot", role="img", aria_label=told
    )


def bar(share: float, told: str, state: str = "") -> Html:
    """A horizontal bar, `share` of 0 to 1 filled."""
    width = max(0.0, min(1.0, share)) * 100
    inner = el("span", cls=f"fill {state}", style=f"width:{width:.1f}%")
    return el("span", inner, cls="bar", role="img", aria_label=told)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, …"""
    size = 1.0
    while True:
        for step in (1, 2, 5):
            if value <= step * size:
                return step * size
        size *= 10
