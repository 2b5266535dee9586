"""Each line is one that Mermaid's grammar knows, whatever the names hold."""

import html
import re

import pytest
from tests.unit.plan.picture.pictures import ODD, folder, odd

from phoenix_hypervisor.plan.picture.graph import Graph
from phoenix_hypervisor.plan.picture.mermaid import escape, mermaid
from phoenix_hypervisor.plan.picture.of_files import of_files

# Of the flowchart's grammar (flow.jison), what is written here.
LABEL = r'"(?:[A-Za-z0-9 .,/+_-]|#\d+;|<br/>)*"'
SHAPES = "|".join(
    rf"{left}{LABEL}{right}"
    for left, right in ((r"\[", r"\]"), (r"\[\[", r"\]\]"), (r"\(\[", r"\]\)"), (r"\[\(", r"\)\]"))
)
LINES = re.compile(
    rf"(?:flowchart LR|  acc(?:Title|Descr): [\w .,/+()-]+"
    rf"|  n\d+(?:{SHAPES}|>{LABEL}\]):::[a-z]+"
    r"|  n\d+ (?:-->|==>|-\.-|---|-\.->) n\d+"
    r"|  classDef [a-z]+ [a-z]+:[\w#, :-]+)"
)


@pytest.mark.parametrize("graph", [odd(), of_files(folder(100)), Graph("", "")])
def test_every_line_is_of_the_grammar(graph: Graph) -> None:
    text = mermaid(graph)
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if not LINES.fullmatch(line)] == []


@pytest.mark.parametrize("name", ODD)
def test_names_arrive_literally(name: str) -> None:
    """Mermaid reads #34; as HTML reads &#34;."""
    assert html.unescape(escape(name).replace("#", "&#")) == name
    assert not set('"[](){}<>`|&*\\') & set(escape(name))


def test_boxes_of_a_kind_look_alike() -> None:
    text = mermaid(of_files(folder(10)))
    used = set(re.findall(r":::(\w+)", text))
    assert used == set(re.findall(r"classDef (\w+)", text))
    assert all("color:#111" in line for line in text.splitlines() if "classDef" in line)
