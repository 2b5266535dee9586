"""Boxes never lie on each other, lines never run through boxes, and circles are drawn too."""

import time
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.plan.picture.layout import Layout, Place, Size, crossings, layout, ranks

Edges = list[tuple[str, str]]


@st.composite
def graphs(draw: st.DrawFn, *, circles: bool) -> tuple[dict[str, Size], Edges]:
    count = draw(st.integers(1, 24))
    sizes = {
        f"n{number}": Size(draw(st.integers(20, 200)), draw(st.integers(10, 90)))
        for number in range(count)
    }
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = draw(st.lists(pair, max_size=40, unique=True))
    if not circles:
        pairs = [(min(one), max(one)) for one in pairs]
    return sizes, list(dict.fromkeys((f"n{a}", f"n{b}") for a, b in pairs if a != b))


def overlap(one: Place, other: Place) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def check(found: Layout) -> None:
    boxes = list(found.places.values())
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    for line in found.lines:
        assert not any(overlap(place, box) for place in line.over for box in boxes)
        ends = [found.places[line.source], *line.over, found.places[line.target]]
        if line.turned:
            ends = [ends[-1], *ends[1:-1], ends[0]]
        assert all(a.x + a.width < b.x for a, b in pairwise(ends))
    assert all(b.x >= 0 and b.y >= -1e-6 for b in boxes)
    assert max(b.x + b.width for b in boxes) <= found.width + 1e-6
    assert max(b.y + b.height for b in boxes) <= found.height + 1e-6


@settings(max_examples=150, deadline=None)
@given(graphs(circles=True))
def test_nothing_lies_on_anything_and_lines_go_from_left_to_right(
    graph: tuple[dict[str, Size], Edges],
) -> None:
    sizes, edges = graph
    found = layout(sizes, edges)
    assert set(found.places) == set(sizes)
    assert [(line.source, line.target) for line in found.lines] == edges
    check(found)
    assert layout(sizes, edges) == found


@settings(max_examples=100, deadline=None)
@given(graphs(circles=False))
def test_without_a_circle_nothing_is_turned(graph: tuple[dict[str, Size], Edges]) -> None:
    assert not any(line.turned for line in layout(*graph).lines)


def test_of_a_circle_the_weak_edge_is_turned() -> None:
    sizes = {key: Size(50, 20) for key in "abc"}
    edges = [("c", "a"), ("a", "b"), ("b", "c")]
    found = layout(sizes, edges, weak=frozenset({1}))
    assert [line.turned for line in found.lines] == [False, True, False]
    check(found)


def test_a_box_stands_behind_all_that_it_follows_and_near_to_what_follows_it() -> None:
    edges = [("a", "b"), ("b", "c"), ("late", "c"), ("a", "c")]
    assert ranks(["a", "b", "c", "late"], edges) == {"a": 0, "b": 1, "c": 2, "late": 1}


def test_a_fan_is_spread_over_layers() -> None:
    keys = [f"g{number}" for number in range(99)]
    found = ranks(["base", *keys], [("base", key) for key in keys])
    counts = [list(found.values()).count(rank) for rank in range(max(found.values()) + 1)]
    assert max(counts) <= 13
    assert sum(counts) == 100


def test_boxes_without_edges_stand_in_a_grid_below() -> None:
    sizes = {f"n{number}": Size(100, 40) for number in range(102)}
    found = layout(sizes, [("n0", "n1")])
    check(found)
    assert all(found.places[f"n{n}"].y > found.places["n0"].y + 40 for n in range(2, 102))
    assert found.width < 3 * found.height < 9 * found.width


def test_lines_that_need_not_cross_do_not() -> None:
    sizes = {key: Size(50, 20) for key in "abcdefgh"}
    found = layout(sizes, [("a", "h"), ("b", "g"), ("c", "f"), ("d", "e")])
    heights = [[found.places[end].y for end in pair] for pair in ("ah", "bg", "cf", "de")]
    assert sorted(heights) == sorted(heights, key=lambda pair: pair[1])


class Item:
    """As `crossings` needs it."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.after: list[Item] = []


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [([(0, 1), (1, 0)], 1), ([(0, 0), (1, 1)], 0), ([(0, 2), (1, 1), (2, 0)], 3), ([], 0)],
)
def test_crossings_are_counted(pairs: list[tuple[int, int]], expected: int) -> None:
    left, right = [Item(n) for n in range(3)], [Item(n) for n in range(3)]
    for a, b in pairs:
        left[a].after.append(right[b])
    layers: list[list[Item]] = [left, right]
    assert crossings(layers) == expected  # type: ignore[arg-type]  # only what it reads


@pytest.mark.parametrize("size", [1, 10, 100, 1000])
def test_any_number_of_boxes(size: int) -> None:
    sizes = {f"n{number}": Size(120, 60) for number in range(size)}
    edges = [(f"n{number // 3}", f"n{number}") for number in range(1, size)]
    found = layout(sizes, edges)
    if size <= 100:
        check(found)
    assert len(found.places) == size


def test_too_many_long_lines_are_refused_at_once() -> None:
    keys = [str(number) for number in range(1500)]
    edges = [*pairwise(keys), *((keys[0], key) for key in keys[2:])]
    begin = time.thread_time()
    with pytest.raises(UsageError, match="too many long lines") as refused:
        layout(dict.fromkeys(keys, Size(10, 10)), edges)
    assert "mermaid" in refused.value.hint
    assert time.thread_time() - begin < 2
