"""Folders to be drawn, made up from a seed."""

import random
from itertools import pairwise
from typing import Any

from tests.unit.plan import worlds

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Desired, Route, RouteAuth, Volume
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.plan.picture.graph import EDGE_WORDS, NODE_WORDS, Edge, Graph, Node

ODD = (
    "end",
    'a"b',
    "[x](y){z}|<b>&amp;`code`",
    "**bold** _i_",
    "ünïcödé 日本 🦄",
    "#35; #quot;",
    "%% comment",
    "subgraph",
    "\\n \\",
    ":::x",
    "'",
    ";",
    "https://x.example/z?a=b&c",
    "]]></text><script>alert(1)</script>",
    "a very long name that goes on and on and on, as names in some places do",
)


def odd() -> Graph:
    """Names that mean something to XML, HTML, Markdown or Mermaid; all kinds of boxes and lines."""
    kinds, lines = list(NODE_WORDS), list(EDGE_WORDS)
    nodes = tuple(
        Node(f"{name}{number}", kinds[number % len(kinds)], name, (name, "more"))
        for number, name in enumerate(ODD)
    )
    edges = tuple(
        Edge(one.key, other.key, lines[number % len(lines)])
        for number, (one, other) in enumerate(pairwise(nodes))
    )
    return Graph('odd "title": %% {x}; <end> &', "x: y {z}\n--> a", nodes, edges)


def folder(count: int, seed: int = 1) -> Desired:
    """So many guests: clones of a template and others, with volumes, routes and dependencies."""
    chance = random.Random(seed)  # noqa: S311 - the same again for the same seed
    template = worlds.template(5000, name="debian base", features=())
    guests = [template] if count > 1 else []
    for number in range(count - len(guests)):
        words: dict[str, Any] = {"name": f"svc-{number}"}
        if number and chance.random() < 0.6:
            needs = {lxc(101 + chance.randrange(number)) for _ in range(2)}
            words["dependencies"] = tuple(sorted(needs))
        if chance.random() < 0.2:
            words["volumes"] = (Volume("data", "tank", 10, "/var/lib/x"),)
        if chance.random() < 0.25:
            auth = RouteAuth("basic", "ann", Secret(literal="the route's password"))
            words["routes"] = (Route("shop.example", f"/svc{number}", 8000, auth),)
        words["features"] = worlds.NGINX if number == 0 else ()
        cloned = count > 1 and chance.random() < 0.7
        make = worlds.clone(101 + number, template, **words) if cloned else None
        guests.append(make or worlds.guest(101 + number, **words))
    return worlds.desired(*guests)
