"""A graph to be drawn: nodes with a few lines of text, and edges of several kinds."""

from dataclasses import dataclass, field
from typing import Literal

NodeKind = Literal[
    "guest", "template", "bridge", "volume", "route", "outside", "live", "restart", "destructive"
]
EdgeKind = Literal["needs", "clone", "network", "volume", "route"]

NODE_WORDS: dict[NodeKind, str] = {
    "guest": "guest",
    "template": "template",
    "bridge": "bridge",
    "volume": "volume",
    "route": "published route",
    "outside": "not in the files",
    "live": "live",
    "restart": "restarts",
    "destructive": "destroys data",
}
EDGE_WORDS: dict[EdgeKind, str] = {
    "needs": "comes before",
    "clone": "is cloned to",
    "network": "network",
    "volume": "volume",
    "route": "publishes, to its proxy",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A box: its name, and more lines below. `key` tells it from all others."""

    key: str
    kind: NodeKind
    name: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from what comes first to what follows, by the nodes' keys."""

    source: str
    target: str
    kind: EdgeKind = "needs"


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it. Both ends of every edge are among the nodes, and differ."""

    title: str
    description: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = field(default=())
