"""The graph of a plan: its changes, coloured by what they cost, and what each waits for."""

from collections import Counter

from phoenix_hypervisor.model.change import Change
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan.picture.graph import NODE_WORDS, Edge, Graph, Node
from phoenix_hypervisor.plan.render import about


def of_plan(plan: Plan) -> Graph:
    """The graph of what the plan would do; a change's steps stand in its box, in order."""
    nodes = tuple(_change(change) for change in plan.changes)
    known = {node.key for node in nodes}
    edges = tuple(
        Edge(before, change.address)
        for change in plan.changes
        for before in change.after
        if before in known
    )
    counts = Counter(node.kind for node in nodes)
    told = ", ".join(f"{count} {NODE_WORDS[kind]}" for kind, count in counts.items())
    told = f"{told}; {about(plan.estimate_s)}" if nodes else "no changes"
    return Graph(f"Plan for the stack {plan.stack} on {plan.driver}", told, nodes, edges)


def _change(change: Change) -> Node:
    name = f"{change.action.symbol} {change.action.value} {change.address}"
    steps = " → ".join(step.name for step in change.steps)
    cost = f"{NODE_WORDS[change.impact.value]}, {about(change.estimate_s)}"
    lines = tuple(line for line in (change.name, steps, cost) if line)
    return Node(change.address, change.impact.value, name, lines)
