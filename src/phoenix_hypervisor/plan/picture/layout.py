"""Places a graph in layers from left to right, after Sugiyama, Tagawa and Toda (1981).

Layers by the longest path; long edges get a place of their own in every layer that they cross, so
that no line runs through a box; fewer crossings by barycentres; heights by the neighbours' means.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from phoenix_hypervisor.model.errors import UsageError

_SWEEPS = 12
_LEAST_IN_A_LAYER = 12
_MOST_PLACES = 100_000
"""So many places of lines are laid out at most, which takes some seconds."""
_LINE_HEIGHT = 2.0
_LINE_GAP = 5.0


@dataclass(frozen=True, slots=True)
class Size:
    """Of a box, in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box lies, in pixels, from its left upper corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Its height's middle."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Line:
    """An edge's way: the places it passes between its ends, one for each layer in between.

    `turned`: it goes against the others, to keep them out of a circle; then its target is the
    left one, and `over` goes from there.
    """

    source: str
    target: str
    over: tuple[Place, ...] = ()
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """All places, and the size of the whole. Lines are in the order of the edges."""

    places: Mapping[str, Place]
    lines: Sequence[Line]
    width: float
    height: float


@dataclass(slots=True)
class _Item:
    """A box, or a line's place in a layer (then `key` is empty)."""

    key: str
    size: Size
    before: list["_Item"] = field(default_factory=list)
    after: list["_Item"] = field(default_factory=list)
    at: int = 0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.size.height / 2


def layout(
    sizes: Mapping[str, Size],
    edges: Sequence[tuple[str, str]],
    *,
    weak: frozenset[int] = frozenset(),
    gap: float = 22.0,
    between: float = 90.0,
) -> Layout:
    """Places boxes of these sizes. `gap` is kept between boxes of a layer, `between` layers.

    Where edges go in a circle, one of it is turned: if it can be, one of those whose number is in
    `weak`. Boxes without edges come below the others, in
    a grid. The same input gives the same layout. Raises `UsageError` where that would take minutes.
    """
    turned = _turned(edges, weak) if _circular(edges) else frozenset()
    straight = [
        (target, source) if number in turned else (source, target)
        for number, (source, target) in enumerate(edges)
    ]
    joined = {key for edge in edges for key in edge}
    graph = {key: size for key, size in sizes.items() if key in joined}
    layers, chains = _layers(graph, straight)
    _order(layers)
    _heights(layers, gap)
    places, columns, width, height = _columns(layers, between)
    alone = {key: size for key, size in sizes.items() if key not in joined}
    grid, wide, high = _grid(alone, height + gap if graph else 0.0, gap, width)
    lines = [
        Line(source, target, tuple(_across(item, columns) for item in chain), number in turned)
        for number, ((source, target), chain) in enumerate(zip(edges, chains, strict=True))
    ]
    return Layout({**places, **grid}, lines, max(width, wide), max(height, high))


def _turned(edges: Sequence[tuple[str, str]], weak: frozenset[int]) -> frozenset[int]:
    """Edges, by their number, that are turned so that none go in a circle: weak ones first."""
    after: dict[str, list[str]] = {}
    found: set[int] = set()
    for number in [*(n for n in range(len(edges)) if n not in weak), *sorted(weak)]:
        source, target = edges[number]
        if _leads(after, target, source):
            found.add(number)
            source, target = target, source
        after.setdefault(source, []).append(target)
    return frozenset(found)


def _leads(after: Mapping[str, Sequence[str]], start: str, end: str) -> bool:
    """Whether edges lead from one box to another."""
    todo, seen = [start], {start}
    while todo:
        key = todo.pop()
        if key == end:
            return True
        new = [one for one in after.get(key, ()) if one not in seen]
        seen.update(new)
        todo += new
    return False


def _circular(edges: Sequence[tuple[str, str]]) -> bool:
    before: dict[str, list[str]] = {}
    for source, target in edges:
        before.setdefault(target, []).append(source)
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return True
    return False


def ranks(keys: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Each box's layer: right of all that it follows, near to what follows it, none too full.

    Raises `graphlib.CycleError` where the edges go in a circle.
    """
    before: dict[str, list[str]] = {key: [] for key in keys}
    after: dict[str, list[str]] = {key: [] for key in keys}
    for source, target in edges:
        before[target].append(source)
        after[source].append(target)
    order = list(TopologicalSorter(before).static_order())
    found: dict[str, int] = {}
    for key in order:
        found[key] = max((found[one] + 1 for one in before[key]), default=0)
    for key in keys:
        if not before[key] and after[key]:
            found[key] = min(found[one] for one in after[key]) - 1
    _spread(found, [key for key in keys if not after[key]])
    return found


def _spread(found: dict[str, int], leaves: Sequence[str]) -> None:
    """Moves boxes that nothing follows out of layers that are too full."""
    most = max(_LEAST_IN_A_LAYER, math.ceil(1.3 * math.sqrt(len(found))))
    rank = 0
    while rank <= max(found.values(), default=-1):
        there = sum(one == rank for one in found.values())
        movable = [key for key in leaves if found[key] == rank]
        for key in movable[: max(0, there - most)]:
            found[key] = rank + 1
        rank += 1


def _layers(
    sizes: Mapping[str, Size], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[_Item]], list[list[_Item]]]:
    """The layers with all items linked, and each edge's items in between."""
    rank = ranks(list(sizes), edges)
    if sum(rank[target] - rank[source] for source, target in edges) > _MOST_PLACES:
        raise UsageError(
            "this graph has too many long lines to be drawn here",
            hint="--format mermaid writes it for another program to draw",
        )
    items = {key: _Item(key, size) for key, size in sizes.items()}
    layers: list[list[_Item]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for key, item in items.items():
        layers[rank[key]].append(item)
    chains = []
    for source, target in edges:
        chain = [_Item("", Size(0.0, _LINE_HEIGHT)) for _ in range(rank[source] + 1, rank[target])]
        for number, item in enumerate(chain, start=rank[source] + 1):
            layers[number].append(item)
        whole = [items[source], *chain, items[target]]
        for one, other in pairwise(whole):
            one.after.append(other)
            other.before.append(one)
        chains.append(chain)
    return layers, chains


def _order(layers: list[list[_Item]]) -> None:
    """Orders each layer by the means of its neighbours' positions; keeps the best order seen."""
    for layer in layers:
        _number(layer)
    best, fewest = [list(layer) for layer in layers], crossings(layers)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            layer.sort(key=lambda item: _barycentre(item, forward=forward))
            _number(layer)
        now = crossings(layers)
        if now < fewest:
            best, fewest = [list(layer) for layer in layers], now
        if not now:
            break
    for number, layer in enumerate(best):
        layers[number] = layer
        _number(layer)


def _number(layer: list[_Item]) -> None:
    for at, item in enumerate(layer):
        item.at = at


def _barycentre(item: _Item, *, forward: bool) -> float:
    near = item.before if forward else item.after
    return sum(other.at for other in near) / len(near) if near else float(item.at)


def crossings(layers: Sequence[Sequence[_Item]]) -> int:
    """How often lines cross between layers, by counting inversions in a Fenwick tree."""
    total = 0
    for layer, following in pairwise(layers):
        ends = [other.at for item in layer for other in sorted(item.after, key=lambda one: one.at)]
        tree = [0] * (len(following) + 1)
        for count, end in enumerate(ends):
            index, lower = end + 1, 0
            while index:
                lower += tree[index]
                index -= index & -index
            total += count - lower
            index = end + 1
            while index < len(tree):
                tree[index] += 1
                index += index & -index
    return total


def _heights(layers: list[list[_Item]], gap: float) -> None:
    for layer in layers:
        _stack(layer, [0.0] * len(layer), gap)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = [_wanted(item, forward=forward, last=sweep >= _SWEEPS - 2) for item in layer]
            _stack(layer, wanted, gap)
    top = min((item.y for layer in layers for item in layer), default=0.0)
    for layer in layers:
        for item in layer:
            item.y -= top


def _wanted(item: _Item, *, forward: bool, last: bool) -> float:
    near = [*item.before, *item.after] if last else (item.before if forward else item.after)
    if not near:
        return item.y
    return sum(other.middle for other in near) / len(near) - item.size.height / 2


def _stack(layer: list[_Item], wanted: Sequence[float], gap: float) -> None:
    """Heights nearest to the wanted ones that keep the order and the gaps.

    Least squares under an order is isotonic regression: neighbours that are in each other's way
    become one block at their mean (pool adjacent violators).
    """
    offsets, offset = [], 0.0
    for number, item in enumerate(layer):
        offsets.append(offset)
        following = layer[number + 1] if number + 1 < len(layer) else item
        boxes = bool(item.key) + bool(following.key)
        offset += item.size.height + (_LINE_GAP, gap / 2, gap)[boxes]
    blocks: list[tuple[float, int]] = []  # mean, count
    for want, off in zip(wanted, offsets, strict=True):
        mean, count = want - off, 1
        while blocks and blocks[-1][0] > mean:
            other, several = blocks.pop()
            mean = (mean * count + other * several) / (count + several)
            count += several
        blocks.append((mean, count))
    bases = [mean for mean, count in blocks for _ in range(count)]
    for item, base, off in zip(layer, bases, offsets, strict=True):
        item.y = base + off


def _columns(
    layers: list[list[_Item]], between: float
) -> tuple[dict[str, Place], dict[int, tuple[float, float]], float, float]:
    places: dict[str, Place] = {}
    columns: dict[int, tuple[float, float]] = {}
    x = height = 0.0
    for layer in layers:
        width = max(item.size.width for item in layer)
        for item in layer:
            columns[id(item)] = (x, width)
            height = max(height, item.y + item.size.height)
            if item.key:
                places[item.key] = Place(x, item.y, item.size.width, item.size.height)
        x += width + between
    return places, columns, max(0.0, x - between), height


def _across(item: _Item, columns: Mapping[int, tuple[float, float]]) -> Place:
    x, width = columns[id(item)]
    return Place(x, item.y, width, item.size.height)


def _grid(
    sizes: Mapping[str, Size], top: float, gap: float, least: float
) -> tuple[dict[str, Place], float, float]:
    """Boxes without edges, in rows about as wide as the rest, or else as a wide screen."""
    if not sizes:
        return {}, 0.0, 0.0
    width = max(size.width for size in sizes.values())
    height = max(size.height for size in sizes.values())
    square = math.ceil(math.sqrt(len(sizes) * 1.6 * height / width))
    columns = max(1, square, int((least + gap) // (width + gap)))
    places = {}
    for number, (key, size) in enumerate(sizes.items()):
        row, column = divmod(number, columns)
        x, y = column * (width + gap), top + row * (height + gap)
        places[key] = Place(x, y, size.width, size.height)
    rows, used = math.ceil(len(sizes) / columns), min(columns, len(sizes))
    return places, used * (width + gap) - gap, top + rows * (height + gap) - gap
