"""The picture of the stack: guests, what they need and publish, and where they lie."""

import re

from phoenix_hypervisor.plan.picture.graph import EDGE_WORDS, EdgeKind
from phoenix_hypervisor.plan.picture.of_files import of_files
from phoenix_hypervisor.plan.picture.svg import svg
from phoenix_hypervisor.web.frame import Frame, panel
from phoenix_hypervisor.web.markup import Html, el, table

PATH, TITLE, PLACE = "/topology", "Topology", 3
_DARK = re.compile(r"@media\(prefers-color-scheme:dark\)\{(.*?\})\}", re.DOTALL)


async def build(frame: Frame) -> None:
    """The page."""

    async def shown() -> Html:
        graph = of_files(await frame.here.desk.desired())
        drawn = _switched(svg(graph))
        picture = el(
            "div",
            Html(drawn),
            cls="picture",
            tabindex="0",
            role="region",
            aria_label="The picture, which may be scrolled",
        )
        names = {node.key: node.name for node in graph.nodes}
        ways: dict[tuple[str, EdgeKind], list[str]] = {}
        for one in graph.edges:
            ways.setdefault((names[one.source], one.kind), []).append(names[one.target])
        rows = [
            (
                el("td", source, cls="wrap"),
                EDGE_WORDS[kind],
                el("td", ", ".join(to), cls="wrap"),
            )
            for (source, kind), to in ways.items()
        ]
        words = table(("From", "Way", "To"), rows, "The same in words")
        return el(
            "div",
            panel(graph.title, picture, extra=el("span", graph.description, cls="dim")),
            panel("The same in words", words),
            cls="stack",
        )

    await frame.live(shown, 30.0)


def _switched(drawn: str) -> str:
    """The picture as part of a page: it follows the page's switch, which goes before the system."""
    dark = (
        r"@media(prefers-color-scheme:dark){:root:not([data-theme=light]){\1}}"
        r":root[data-theme=dark]{\1}"
    )
    return _DARK.sub(dark, drawn[drawn.index("<svg") :], count=1)
