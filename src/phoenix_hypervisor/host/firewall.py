"""Proxmox VE's firewall above the guests: aliases, IP sets, groups, rules, and the switch.

Only what the files name is touched, and rules that bear our mark. What would lock out the operator
is refused: what would happen to a new connection is worked out (`_packet`) for the rules as they
will be, on every node, and for each moment on the way there (`_firewall_order`).
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from phoenix_hypervisor.host import _firewall_world, _rules
from phoenix_hypervisor.host._firewall_objects import make_object, objects, unknown_names
from phoenix_hypervisor.host._firewall_order import States, last, ordered, shut_by
from phoenix_hypervisor.host._firewall_read import read
from phoenix_hypervisor.host._firewall_world import DATACENTER, SWITCH, Way, World, seen_world, ways
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.address import Address, ident, kind
from phoenix_hypervisor.model.change import Action
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Conflict, Unsupported
from phoenix_hypervisor.model.host.firewall import ClusterFirewall, HostRule
from phoenix_hypervisor.model.node import Node

_CLUSTER = "/cluster/firewall"


class FirewallPart:
    """`firewall/datacenter`, `firewall/<node>`, `firewall/options`, aliases, IP sets, groups."""

    name = "firewall"
    turn = 25

    async def look(self, node: Node, desired: Desired) -> Seen:
        """All of it, and where the operator comes in."""
        if not desired.host.setup.firewall.declared:
            return Seen()
        if not node.is_pve:
            raise Unsupported("the firewall of data centre and node is Proxmox VE's alone")
        return await read(node)

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """One after another, in an order that locks the operator out at no moment; or refuses."""
        del choice
        firewall = desired.host.setup.firewall
        if not firewall.declared:
            return Decided()
        node = str(seen.facts.get("node", "host"))
        switch = differences([Wanted(SWITCH, _switch(firewall))], seen, reason="it is off")
        if not firewall.enabled:
            return Decided(tuple(switch))
        tasks = objects(firewall, seen, desired.stack)
        grounds = tuple(task.address for task in tasks if task.action is Action.CREATE)
        for address, key, rules in _levels(firewall, node):
            rows = _list(seen, key)
            slots = _rules.order(rows, rules, desired.stack)
            if found := _rules.differences(rows, slots, desired.stack):
                why = "its rules are not as the files say"
                tasks.append(Task(address, Action.UPDATE, found, why, after=grounds))
        tasks += switch
        unknown = tuple(unknown_names(firewall, seen))
        if unknown or not tasks:
            return Decided(tuple(tasks), refusals=unknown)
        return _without_locking_out(tasks, firewall, seen, desired.stack)

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Raises `Conflict` where somebody else changes the same, or took a way in since."""
        del tell
        firewall = desired.host.setup.firewall
        await self._look_again(node, task, desired)
        if task.address == SWITCH:
            await _set_switch(node, task)
            return
        if kind(task.address) == "firewall":
            for address, _, rules in _levels(firewall, node.name):
                if address == task.address:
                    await _rules.write(node, _path(address), rules, desired.stack)
            return
        await make_object(node, task, firewall, desired.stack)

    async def _look_again(self, node: Node, task: Task, desired: Desired) -> None:
        """Who is let in may hang on a rule that somebody took away since the plan."""
        firewall = desired.host.setup.firewall
        if not firewall.enabled:
            return
        seen = await self.look(node, desired)
        now = seen_world(seen)
        open_ways = ways(firewall, seen, now)
        shut = shut_by(task, now, open_ways, _states(firewall, desired.stack))
        if shut is not None:
            way, verdict = shut
            raise Conflict(
                f"the firewall of {way.node} moved since the plan: {task.address} would shut out "
                f"{way.packet.source} from port {way.packet.port} now: {verdict.why}",
                hint="plan again",
            )


_UNKNOWN = (
    "firewall: where your own connection comes from is not known, so that nothing was checked "
    "against locking you out; firewall.operators names addresses that must stay let in"
)


def _levels(
    firewall: ClusterFirewall, node: str
) -> Iterator[tuple[Address, str, Sequence[HostRule]]]:
    yield Address(f"firewall/{node}"), "node_rules", firewall.node_rules
    yield DATACENTER, "rules", firewall.rules


def _path(address: Address) -> str:
    if address == DATACENTER:
        return f"{_CLUSTER}/rules"
    return f"/nodes/{ident(address)}/firewall/rules"


def _switch(firewall: ClusterFirewall) -> dict[str, Json]:
    if not firewall.enabled:
        return {"enabled": False}
    return {
        "enabled": True,
        "node.enabled": True,
        "policy_in": firewall.policy_in,
        "policy_out": firewall.policy_out,
    }


async def _set_switch(node: Node, task: Task) -> None:
    """The node's own first: nothing holds before the data centre's is on."""
    asked = {change.path: change.after for change in task.fields}
    if "node.enabled" in asked:
        await node.send("PUT", f"/nodes/{node.name}/firewall/options", enable="1")
    policies = [change for change in task.fields if change.path.startswith("policy_")]
    values = {change.path: str(change.after) for change in policies}
    if "enabled" in asked:
        values["enable"] = "1" if asked["enabled"] else "0"
    if values:
        there = await node.get(f"{_CLUSTER}/options")
        digest = {"digest": there["digest"]} if there.get("digest") else {}
        await node.send("PUT", f"{_CLUSTER}/options", **digest, **values)


def _states(firewall: ClusterFirewall, stack: str) -> States:
    def states(task: Task, world: World) -> Iterator[World]:
        yield from _firewall_world.states(task, firewall, stack, world)

    return states


def _without_locking_out(
    tasks: Sequence[Task], firewall: ClusterFirewall, seen: Seen, stack: str
) -> Decided:
    """The tasks in a good order, or why there is none."""
    states, now = _states(firewall, stack), seen_world(seen)
    open_ways = ways(firewall, seen, now)
    refusals = [
        *_locked_out(now, last(tasks, now, states), open_ways, str(seen.facts.get("node"))),
        *_unread(tasks, seen),
    ]
    if not refusals:
        tasks, trouble = ordered(tasks, now, open_ways, states)
        refusals = [
            f"firewall: on the way there it would lock you out of {way.node} for a moment: "
            f"whatever comes first, {task.address} shuts out {way.packet.source} from "
            f"port {way.packet.port}: {verdict.why}. Make it in two applies: first a rule that "
            "lets you in before and after, such as one with your address in node_rules"
            for task, (way, verdict) in trouble
        ]
    notes = [] if open_ways else [_UNKNOWN]
    notes += _shut_already(now, open_ways, str(seen.facts.get("node")))
    return Decided(tuple(tasks), refusals=tuple(refusals), notes=(*notes, *_untold(tasks, seen)))


def _locked_out(now: World, after: World, open_ways: Sequence[Way], node: str) -> Iterator[str]:
    """This node has to let in at the end; others, where they do so now."""
    for way in open_ways:
        verdict = after.verdict(way)
        if not verdict.passes and (way.node == node or now.verdict(way).passes):
            yield (
                f"firewall: it would lock you out: connections from {way.packet.source} to port "
                f"{way.packet.port} of {way.node} meet {verdict.why}. Let them in by a rule before "
                "it, or put the address into firewall.ipsets.management"
            )


def _shut_already(now: World, open_ways: Sequence[Way], node: str) -> Iterator[str]:
    """Other nodes' ways that hang on what isn't known of them, such as the card of a rule."""
    for name in dict.fromkeys(
        way.node for way in open_ways if way.node != node and not now.verdict(way).passes
    ):
        yield (
            f"firewall: as far as can be told, {name} does not let you in now either, so that "
            "nothing was checked against locking you out of it (a rule for one card counts as not "
            "fitting there)"
        )


def _unread(tasks: Sequence[Task], seen: Seen) -> Iterator[str]:
    """Switching on is for the whole cluster: never for nodes of which nothing is known."""
    is_new = any(
        change.path == "enabled"
        for task in tasks
        for change in task.fields
        if task.address == SWITCH
    )
    for name, why in (seen.facts.get("unread") or {}).items() if is_new else ():
        yield (
            f"firewall: switched on, it holds on {name} too, and whether that locks you out there "
            f"can't be told, since its own rules can't be read: {why}. Bring the node back, or "
            "take it out of the cluster, and plan again"
        )


def _untold(tasks: Sequence[Task], seen: Seen) -> Iterator[str]:
    own = Address(f"firewall/{seen.facts.get('node')}")
    if any(task.address != own for task in tasks):
        for name in seen.facts.get("unread") or {}:
            yield f"firewall: whether this locks you out of {name} is not known: it can't be read"


def _list(seen: Seen, key: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", seen.facts.get(key) or [])


PART = FirewallPart()
