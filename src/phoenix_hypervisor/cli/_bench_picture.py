"""The result of `phoenix bench llm` as one SVG file, to be read in light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from phoenix_hypervisor.cli._bench_result import Result
from phoenix_hypervisor.verify.llm.figures import Spread

_PANEL, _GAP, _LEFT, _TOP, _PLOT = 300.0, 24.0, 24.0, 96.0, 190.0
_BAR = 18.0
_HEIGHT = _TOP + _PLOT + 64.0
_STYLE = """\
svg{--bg:#fff;--ink:#1b1f24;--dim:#57606a;--a:#9ec5f4;--b:#3b6fd4;--c:#1c3f85;--d:#2a8c78;--slo:#c8372d}
text{font:12px system-ui,"Segoe UI","DejaVu Sans",sans-serif;fill:var(--ink)}
.title{font-size:17px;font-weight:600}.about,.dim{fill:var(--dim)}.panel{font-weight:600}
.n{font-size:10.5px}.p50{fill:var(--a)}.p95{fill:var(--b)}.p99{fill:var(--c)}.rate{fill:var(--d)}
.axis{stroke:var(--dim);stroke-width:1}.slo{stroke:var(--slo);stroke-width:1.5;stroke-dasharray:6 4}
@media(prefers-color-scheme:dark){
svg{--bg:#0d1117;--ink:#e6edf3;--dim:#a5afba;--a:#2f5aa8;--b:#6f9bf0;--c:#c3d7fb;--d:#53b8a2;--slo:#f0736a}}
"""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One chart: for each concurrency some bars, as classes and values; `limit` is a line."""

    title: str
    groups: Sequence[tuple[int, Sequence[tuple[str, float]]]]
    limit: float | None = None

    @property
    def most(self) -> float:
        values = [value for _, bars in self.groups for _, value in bars]
        return max([*values, self.limit or 0.0]) or 1.0


def svg(result: Result) -> str:
    """The whole file's text."""
    limits = {verdict.measure: verdict.at_most_ms for verdict in result.verdicts}
    panels = [
        _times("Time to first token, ms", result, "first_token_ms", limits),
        _times("Complete answer, ms", result, "total_ms", limits),
        _Panel(
            "Tokens per second, all together",
            [(one.concurrency, [("rate", one.all_tokens_per_s)]) for one in result.levels],
        ),
    ]
    panels = [panel for panel in panels if any(bars for _, bars in panel.groups)]
    widths = [max(_PANEL, _width(panel)) for panel in panels]
    width = 2 * _LEFT + sum(widths) + _GAP * (len(panels) - 1)
    about = f"{result.where}; prompts of {result.prompt_tokens} tokens"
    if result.kind == "chat":
        about += f", answers of {result.output_tokens}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{_HEIGHT:.0f}" '
        f'viewBox="0 0 {width:.0f} {_HEIGHT:.0f}" role="img" '
        f'aria-label="{_quoted(f"Benchmark of {result.model}")}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:.0f}" height="{_HEIGHT:.0f}" style="fill:var(--bg)"/>',
        _text(_LEFT, 30, result.model, "title"),
        _text(_LEFT, 50, about, "about"),
    ]
    left = _LEFT
    for panel, wide in zip(panels, widths, strict=True):
        parts += _drawn(panel, left, wide)
        left += wide + _GAP
    parts += _legend(panels)
    return "\n".join([*parts, "</svg>", ""])


def _times(title: str, result: Result, measure: str, limits: dict[str, float]) -> _Panel:
    groups = []
    for level in result.levels:
        spread: Spread | None = getattr(level, measure)
        bars = [("p50", spread.p50), ("p95", spread.p95), ("p99", spread.p99)] if spread else []
        groups.append((level.concurrency, bars))
    return _Panel(title, groups, limits.get(measure))


def _width(panel: _Panel) -> float:
    return sum(max(1, len(bars)) * 2 * _BAR + 2 * _BAR for _, bars in panel.groups)


def _drawn(panel: _Panel, left: float, wide: float) -> list[str]:
    floor = _TOP + _PLOT
    parts = [
        _text(left, _TOP - 16, panel.title, "panel"),
        f'<line class="axis" x1="{left:.1f}" y1="{floor}" x2="{left + wide:.1f}" y2="{floor}"/>',
    ]
    step = wide / len(panel.groups)
    scale = (_PLOT - 16) / panel.most
    for number, (concurrency, bars) in enumerate(panel.groups):
        middle = left + step * (number + 0.5)
        gap = min(2 * _BAR, step / (len(bars) + 1)) if bars else 0.0
        for place, (kind, value) in enumerate(bars):
            x = middle + gap * (place - (len(bars) - 1) / 2)
            high = max(1.0, value * scale)
            parts += [
                f'<rect class="{kind}" x="{x - _BAR / 2:.1f}" y="{floor - high:.1f}" '
                f'width="{_BAR:.1f}" height="{high:.1f}" rx="2"/>',
                _text(x, floor - high - 4, _number(value), "n", anchor="middle"),
            ]
        parts.append(_text(middle, floor + 18, f"{concurrency} at once", "dim", anchor="middle"))
    if panel.limit is not None:
        y = floor - panel.limit * scale
        parts.append(
            f'<line class="slo" x1="{left:.1f}" y1="{y:.1f}" x2="{left + wide:.1f}" y2="{y:.1f}">'
            f"<title>objective for p95: {_number(panel.limit)} ms</title></line>"
        )
    return parts


def _legend(panels: Sequence[_Panel]) -> list[str]:
    y, x = _HEIGHT - 16, _LEFT
    kinds = [("p50", "half of all"), ("p95", "95 of 100"), ("p99", "99 of 100")]
    used = {kind for panel in panels for _, bars in panel.groups for kind, _ in bars}
    parts = []
    for kind, words in kinds:
        if kind in used:
            parts += [
                f'<rect class="{kind}" x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12"/>',
                _text(x + 18, y, f"{kind}: {words}", "dim"),
            ]
            x += 120
    if any(panel.limit is not None for panel in panels):
        parts += [
            f'<line class="slo" x1="{x:.1f}" y1="{y - 4:.1f}" x2="{x + 24:.1f}" y2="{y - 4:.1f}"/>',
            _text(x + 30, y, "objective for p95", "dim"),
        ]
    return parts


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


def _text(x: float, y: float, words: str, kind: str, anchor: str = "") -> str:
    how = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{how}>{escape(words)}</text>'


def _quoted(words: str) -> str:
    return escape(words, {'"': "&quot;"})
