"""The file is XML that says everything, and no text is wider than its box."""

import re
from xml.etree import ElementTree as ET

import pytest
from tests.unit.plan import worlds
from tests.unit.plan.picture.pictures import ODD, folder, odd

from phoenix_hypervisor.plan.picture.graph import Graph
from phoenix_hypervisor.plan.picture.of_files import of_files
from phoenix_hypervisor.plan.picture.of_plan import of_plan
from phoenix_hypervisor.plan.picture.svg import svg

NS = "{http://www.w3.org/2000/svg}"


def read(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - made here


@pytest.mark.parametrize("count", [1, 10, 100])
def test_every_guest_and_line_is_drawn(count: int) -> None:
    graph = of_files(folder(count))
    root = read(svg(graph))
    names = [text.text for text in root.iter(f"{NS}text") if text.get("class") == "name"]
    assert sorted(map(str, names)) == sorted(node.name for node in graph.nodes)
    lines = [p for p in root.iter(f"{NS}path") if str(p.get("class")).startswith("edge ")]
    legend = len({edge.kind for edge in graph.edges})
    assert len(lines) == len(graph.edges) + legend


def test_names_are_only_text() -> None:
    text = svg(odd())
    root = read(text)
    assert not list(root.iter(f"{NS}script"))
    tips = [str(title.text) for title in root.iter(f"{NS}title")]
    assert [tip.splitlines()[0] for tip in tips[1:]] == list(ODD)  # whole, though boxes cut them
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_characters_that_xml_forbids_are_left_out() -> None:
    node = odd().nodes[0]
    bad = Graph("a\x00b\x1b\ud800", "c\ufffe", (node,))
    assert read(svg(bad)).findtext(f"{NS}title") == "ab"


def test_it_is_told_to_those_who_cannot_see_it() -> None:
    root = read(svg(of_files(folder(4))))
    assert root.get("role") == "img"
    told = {one.get("id"): one.text for one in root if one.get("id")}
    assert root.get("aria-labelledby") == " ".join(map(str, told))
    assert told["title"] == "The stack lab"
    assert "debian base (template)" in str(told["about"])
    assert "debian base is cloned to: svc-" in str(told["about"])


def test_texts_fit_into_their_boxes() -> None:
    """With 0.6 em for a character, as the widest of the usual fonts have on average."""
    graph = of_files(folder(30))
    root = read(svg(graph))
    for group in root.iter(f"{NS}g"):
        box = group.find(f"{NS}rect")
        if box is None or group.find(f"{NS}title") is None:
            continue
        right = float(str(box.get("x"))) + float(str(box.get("width")))
        for text in group.iter(f"{NS}text"):
            size = 14 if text.get("class") == "name" else 11.5
            end = float(str(text.get("x"))) + 0.6 * size * len(str(text.text))
            assert end <= right, text.text


def test_it_has_colours_for_light_and_dark_and_a_ground_of_its_own() -> None:
    text = svg(odd())
    light, dark = text.split("@media(prefers-color-scheme:dark)")
    names = set(re.findall(r"--\w+", light))
    assert names == {"--bg", "--ink", "--dim", "--line", "--faint", "--f", "--s"}
    assert {f"{name}:" for name in names} == set(re.findall(r"--\w+:", dark))
    assert 'style="fill:var(--bg)"' in text


def test_a_plan_shows_its_impacts() -> None:
    wanted = worlds.desired(worlds.guest(101), worlds.guest(102, dependencies=()))
    graph = of_plan(worlds.planned(wanted, worlds.observed(wanted)))
    root = read(svg(graph))
    groups = [g.get("class") for g in root.iter(f"{NS}g") if g.find(f"{NS}title") is not None]
    assert groups == ["live", "live"]
    assert "create → start → configure → check" in svg(graph)


def test_an_empty_graph_says_so() -> None:
    wanted = worlds.desired(worlds.guest(101))
    graph = of_plan(worlds.planned(wanted, worlds.complete(wanted)))
    assert "no changes" in svg(graph)
