"""A graph as one SVG file, to be read in light and dark, on a screen and by a screen reader."""

import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

from phoenix_hypervisor.plan.picture.graph import (
    EDGE_WORDS,
    NODE_WORDS,
    Edge,
    EdgeKind,
    Graph,
    Node,
    NodeKind,
)
from phoenix_hypervisor.plan.picture.layout import Layout, Line, Place, Size, layout

_MARGIN = 28.0
_PAD = 12.0
_NAME_PX = 14.0
_LINE_PX = 11.5
_STEP = 16.0
_WIDEST = 46
_HEAD = 58.0
_FOOT = 44.0
_LEAST_WIDTH = 480.0
_NARROW = frozenset("iljtfr.,:;|'!()[]/ I`")
_BROAD = frozenset("mwMW@%")
_STYLE = """\
svg{--bg:#fff;--ink:#1b1f24;--dim:#57606a;--line:#6e7781;--faint:#b6bec7}
text{font-family:system-ui,"Segoe UI","DejaVu Sans",sans-serif;fill:var(--ink)}
.name{font-size:14px;font-weight:600}.more,.legend{font-size:11.5px;fill:var(--dim)}
.title{font-size:17px;font-weight:600}.about{font-size:12.5px;fill:var(--dim)}
.box{fill:var(--f);stroke:var(--s);stroke-width:1.4}
.guest{--f:#e8f0fe;--s:#3b6fd4}.template{--f:#f1ecfb;--s:#7a52c7}.bridge{--f:#e6f4f1;--s:#2a8c78}
.volume{--f:#fdf3e1;--s:#b97a14}.route{--f:#fdeaf1;--s:#c04277}.outside{--f:#f2f2f2;--s:#777}
.live{--f:#e3f5e6;--s:#2c8a43}.restart{--f:#fdf1d6;--s:#b97a14}.destructive{--f:#fde3e1;--s:#c8372d}
.outside .box{stroke-dasharray:4 3}.destructive .box{stroke-width:2.6}
.edge{fill:none;stroke:var(--line);stroke-width:1.5}.tip{fill:var(--line);stroke:none}
.edge.clone{stroke-width:2;stroke:#8f6fd0}.tip.clone{fill:#8f6fd0}.tip.route{fill:#c04277}.edge.network{stroke:var(--faint);stroke-width:1.2;
stroke-dasharray:2 4}.edge.volume{stroke:#b97a14}.edge.route{stroke:#c04277;stroke-dasharray:6 4}
@media(prefers-color-scheme:dark){
svg{--bg:#0d1117;--ink:#e6edf3;--dim:#a5afba;--line:#8b949e;--faint:#4d5661}
.guest{--f:#15233f;--s:#6f9bf0}.template{--f:#241a3b;--s:#a98be6}.bridge{--f:#10302a;--s:#53b8a2}
.volume{--f:#33260d;--s:#dba23c}.route{--f:#38162a;--s:#e277a5}.outside{--f:#20252b;--s:#8b949e}
.live{--f:#11301a;--s:#4fbf6b}.restart{--f:#33260d;--s:#dba23c}.destructive{--f:#3c1513;--s:#f0736a}}
"""


def svg(graph: Graph) -> str:
    """The whole file's text."""
    sizes = {node.key: _size(node) for node in graph.nodes}
    routes = frozenset(n for n, edge in enumerate(graph.edges) if edge.kind == "route")
    found = layout(sizes, [(edge.source, edge.target) for edge in graph.edges], weak=routes)
    legend, legend_width = _legend(graph)
    head = [_text_width(graph.title, 17.0, bold=True), _text_width(graph.description, 12.5)]
    width = max(_LEAST_WIDTH, found.width, legend_width, *head) + 2 * _MARGIN
    height = found.height + 2 * _MARGIN + _HEAD + _FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}"'
        f' width="{_n(width)}" height="{_n(height)}" role="img" aria-labelledby="title about">',
        f'<title id="title">{_xml(graph.title)}</title>',
        f'<desc id="about">{_xml(_described(graph))}</desc>',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" style="fill:var(--bg)"/>',
        f'<text class="title" x="{_n(_MARGIN)}" y="{_n(_MARGIN + 14)}">{_xml(graph.title)}</text>',
        f'<text class="about" x="{_n(_MARGIN)}" y="{_n(_MARGIN + 34)}">'
        f"{_xml(graph.description)}</text>",
        f'<g transform="translate({_n(_MARGIN)} {_n(_MARGIN + _HEAD)})">',
        *_edges(graph, found),
        *(_node(node, found.places[node.key]) for node in graph.nodes),
        "</g>",
        f'<g transform="translate({_n(_MARGIN)} {_n(height - _MARGIN)})">',
        *legend,
        "</g>",
        "</svg>",
    ]
    return "\n".join([*parts, ""])


def _described(graph: Graph) -> str:
    """The graph in words, for those who can't see it."""
    names = {node.key: node.name for node in graph.nodes}
    boxes = "; ".join(f"{node.name} ({NODE_WORDS[node.kind]})" for node in graph.nodes)
    lines = "; ".join(
        f"{names[edge.source]} {EDGE_WORDS[edge.kind]}: {names[edge.target]}"
        for edge in graph.edges
    )
    return f"{graph.description}. {boxes}. {lines}." if lines else f"{graph.description}. {boxes}."


def _size(node: Node) -> Size:
    widths = [_text_width(_cut(node.name), _NAME_PX, bold=True)]
    widths += [_text_width(_cut(line), _LINE_PX) for line in node.lines]
    extra = 10.0 if node.kind in ("route", "template", "bridge") else 0.0
    return Size(
        max(widths) + 2 * _PAD + extra, 2 * _PAD + 12 + _STEP * len(node.lines) + _lid(node)
    )


def _lid(node: Node) -> float:
    return 8.0 if node.kind == "volume" else 0.0


def _node(node: Node, place: Place) -> str:
    x = place.x + _PAD + (5.0 if node.kind in ("template", "bridge") else 0.0)
    y = place.y + _PAD + 11 + _lid(node)
    tip = "\n".join((node.name, *node.lines))
    texts = [f'<text class="name" x="{_n(x)}" y="{_n(y)}">{_xml(_cut(node.name))}</text>']
    for number, line in enumerate(node.lines, start=1):
        at = _n(y + number * _STEP)
        texts.append(f'<text class="more" x="{_n(x)}" y="{at}">{_xml(_cut(line))}</text>')
    return (
        f'<g class="{node.kind}"><title>{_xml(tip)}</title>{_shape(node.kind, place)}'
        f"{''.join(texts)}</g>"
    )


def _shape(kind: NodeKind, place: Place) -> str:
    x, y, w, h = place.x, place.y, place.width, place.height
    at = f'x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"'
    if kind == "bridge":
        return f'<rect class="box" {at} rx="{_n(min(h / 2, 20))}"/>'
    if kind == "template":
        lines = "".join(
            f'<path class="box" d="M{_n(at_x)} {_n(y)}v{_n(h)}"/>' for at_x in (x + 6, x + w - 6)
        )
        return f'<rect class="box" {at} rx="3"/>{lines}'
    if kind == "volume":
        top = f"a{_n(w / 2)} 8 0 0 1 {_n(w)} 0"
        bottom = f"a{_n(w / 2)} 8 0 0 1 {_n(-w)} 0"
        lid = f"a{_n(w / 2)} 8 0 0 0 {_n(w)} 0"
        side = _n(h - 16)
        start = f"M{_n(x)} {_n(y + 8)}"
        return f'<path class="box" d="{start}{top}v{side}{bottom}z{start}{lid}"/>'
    if kind == "route":
        return (
            f'<path class="box" d="M{_n(x)} {_n(y)}h{_n(w - 10)}l10 {_n(h / 2)}'
            f'l-10 {_n(h / 2)}h{_n(10 - w)}z"/>'
        )
    return f'<rect class="box" {at} rx="7"/>'


def _edges(graph: Graph, found: Layout) -> Iterator[str]:
    drawn = list(zip(graph.edges, found.lines, strict=True))
    # What is thin and many lies below.
    for edge, line in sorted(drawn, key=lambda one: one[0].kind != "network"):
        yield _edge(edge, line, found)


def _edge(edge: Edge, line: Line, found: Layout) -> str:
    first, last = found.places[line.source], found.places[line.target]
    if line.turned:
        first, last = last, first
    tip = 7.0 if edge.kind not in ("network", "volume") else 0.0
    points = [(first.x + first.width + (tip if line.turned else 0.0), first.middle)]
    for place in line.over:
        points += [(place.x, place.middle), (place.x + place.width, place.middle)]
    points.append((last.x - (0.0 if line.turned else tip), last.middle))
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for number, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        if number % 2:
            path.append(f"H{_n(x2)}")  # straight through a layer
            continue
        half = (x2 - x1) / 2
        path.append(f"C{_n(x1 + half)} {_n(y1)} {_n(x2 - half)} {_n(y2)} {_n(x2)} {_n(y2)}")
    drawn = f'<path class="edge {edge.kind}" d="{"".join(path)}"/>'
    if tip:
        x, y = points[0] if line.turned else points[-1]
        way = -1 if line.turned else 1
        triangle = f"M{_n(x - way)} {_n(y - 4)}l{8 * way} 4l{-8 * way} 4z"
        drawn += f'<path class="tip {edge.kind}" d="{triangle}"/>'
    return drawn


def _legend(graph: Graph) -> tuple[list[str], float]:
    """What boxes and lines mean, of the kinds that there are; and how wide that is."""
    x, parts = 0.0, []
    kinds: list[NodeKind] = list(dict.fromkeys(node.kind for node in graph.nodes))
    for kind in kinds:
        words = NODE_WORDS[kind]
        parts.append(
            f'<g class="{kind}"><rect class="box" x="{_n(x)}" y="-12" width="16"'
            f' height="12" rx="3"/><text class="legend" x="{_n(x + 22)}" y="-2">{words}</text></g>'
        )
        x += 22 + _text_width(words, _LINE_PX) + 18
    lines: list[EdgeKind] = list(dict.fromkeys(edge.kind for edge in graph.edges))
    for line in lines:
        words = EDGE_WORDS[line]
        parts.append(
            f'<path class="edge {line}" d="M{_n(x)} -6h26"/>'
            f'<text class="legend" x="{_n(x + 32)}" y="-2">{words}</text>'
        )
        x += 32 + _text_width(words, _LINE_PX) + 18
    return parts, x


def _text_width(text: str, size: float, *, bold: bool = False) -> float:
    """About as wide as a wide sans-serif font (DejaVu Sans) would draw it, in pixels."""
    total = 0.0
    for char in text:
        if unicodedata.combining(char):
            continue
        if unicodedata.east_asian_width(char) in "WF":
            total += 1.05
        elif char in _NARROW:
            total += 0.42
        elif char in _BROAD:
            total += 1.0
        elif char.isupper():
            total += 0.76
        else:
            total += 0.65
    return total * size * (1.09 if bold else 1.0)


def _cut(text: str) -> str:
    """A long text's beginning; all of it is in the box's title."""
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _xml(text: str) -> str:
    """Escaped, without the characters that XML 1.0 forbids."""
    kept = "".join(c for c in text if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff"))
    return escape(kept.replace("\ufffe", "").replace("\uffff", ""), {'"': "&quot;"})


def _n(value: float) -> str:
    """A number with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
