"""A section's times as a bar chart in SVG, readable on light and dark pages."""

from collections.abc import Sequence
from html import escape

from tests.bench.clock import Row

_WIDTH, _ROW, _TOP, _LEFT, _BARS = 760, 30, 44, 330, 300
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; }
.bar { fill: #8c959f; }
.ours { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .bar { fill: #6e7681; }
  .ours { fill: #3fb950; }
}"""


def chart(title: str, rows: Sequence[Row]) -> str:
    """One bar for each row, as long as its seconds; those of Phoenix stand out."""
    most = max((row.seconds for row in rows), default=0.0) or 1.0
    height = _TOP + _ROW * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="10" y="24">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = _TOP + number * _ROW
        long = max(2.0, row.seconds / most * _BARS)
        kind = "bar ours" if _is_ours(row) else "bar"
        told = seconds(row.seconds)
        parts += [
            f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(_plain(row))}</text>',
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{long:.1f}" height="20" rx="3"/>',
            f'<text x="{_LEFT + long + 8:.1f}" y="{y + 15}">{told}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def seconds(amount: float) -> str:
    """Three digits of it, in the unit that suits: `2.51 ms`, `1.3 s`, `95 s`."""
    if amount < 1:
        return f"{amount * 1000:.3g} ms"
    return f"{amount:.3g} s" if amount < 100 else f"{amount:.0f} s"


def _is_ours(row: Row) -> bool:
    return "phoenix" in row.what or "Shell" in row.what


def _plain(row: Row) -> str:
    return row.what.replace("`", "")
