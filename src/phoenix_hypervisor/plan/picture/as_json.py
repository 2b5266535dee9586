"""A graph as JSON: what `phoenix --json graph` prints, and the dashboard's API answers."""

from typing import Any

from phoenix_hypervisor.plan.picture.graph import Graph


def dump(found: Graph) -> dict[str, Any]:
    """Its nodes and edges."""
    return {
        "format": 1,
        "title": found.title,
        "description": found.description,
        "nodes": [
            {"key": n.key, "kind": n.kind, "name": n.name, "lines": list(n.lines)}
            for n in found.nodes
        ],
        "edges": [{"source": e.source, "target": e.target, "kind": e.kind} for e in found.edges],
    }
