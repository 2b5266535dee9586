"""A graph as a Mermaid flowchart, which Git hosts and documentation tools draw."""

import re

from phoenix_hypervisor.plan.picture.graph import EdgeKind, Graph, Node, NodeKind

# Mermaid writes any character as its number between # and ;
_SAFE = re.compile(r"[A-Za-z0-9 .,/+_-]")
_SHAPES: dict[NodeKind, tuple[str, str]] = {
    "guest": ("[", "]"),
    "template": ("[[", "]]"),
    "bridge": ("([", "])"),
    "volume": ("[(", ")]"),
    "route": (">", "]"),
    "outside": ("[", "]"),
    "live": ("[", "]"),
    "restart": ("[", "]"),
    "destructive": ("[", "]"),
}
_ARROWS: dict[EdgeKind, str] = {
    "needs": "-->",
    "clone": "==>",
    "network": "-.-",
    "volume": "---",
    "route": "-.->",
}
# With a text colour of their own, they can be read on any background.
_STYLES: dict[NodeKind, str] = {
    "guest": "fill:#e8f0fe,stroke:#3b6fd4,color:#111",
    "template": "fill:#f1ecfb,stroke:#7a52c7,color:#111",
    "bridge": "fill:#e6f4f1,stroke:#2a8c78,color:#111",
    "volume": "fill:#fdf3e1,stroke:#b97a14,color:#111",
    "route": "fill:#fdeaf1,stroke:#c04277,color:#111",
    "outside": "fill:#f2f2f2,stroke:#777,color:#111,stroke-dasharray:4 3",
    "live": "fill:#e3f5e6,stroke:#2c8a43,color:#111",
    "restart": "fill:#fdf1d6,stroke:#b97a14,color:#111",
    "destructive": "fill:#fde3e1,stroke:#c8372d,color:#111",
}


def mermaid(graph: Graph) -> str:
    """The text of the flowchart, with a newline at its end."""
    ids = {node.key: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR", f"  accTitle: {_words(graph.title)}"]
    lines.append(f"  accDescr: {_words(graph.description)}")
    for node in graph.nodes:
        left, right = _SHAPES[node.kind]
        lines.append(f'  {ids[node.key]}{left}"{_label(node)}"{right}:::{node.kind}')
    lines += [
        f"  {ids[edge.source]} {_ARROWS[edge.kind]} {ids[edge.target]}" for edge in graph.edges
    ]
    kinds = dict.fromkeys(node.kind for node in graph.nodes)
    lines += [f"  classDef {kind} {_STYLES[kind]}" for kind in kinds]
    return "\n".join([*lines, ""])


def _label(node: Node) -> str:
    return "<br/>".join(escape(text) for text in (node.name, *node.lines))


def escape(text: str) -> str:
    """A text for a quoted label: nothing in it is syntax, HTML or Markdown."""
    return "".join(char if _SAFE.match(char) else f"#{ord(char)};" for char in text)


def _words(text: str) -> str:
    """A title goes to the end of its line, and knows no escapes."""
    return re.sub(r"[^\w .,/+()-]", " ", text).strip() or "-"
