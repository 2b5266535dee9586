"""The firewall as it is after each single write, for all nodes of the cluster. Pure.

Every write to Proxmox VE's API holds within seconds: so the states between count as the last does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any, cast

from phoenix_hypervisor.host import _operator, _rules
from phoenix_hypervisor.host._firewall_objects import filling
from phoenix_hypervisor.host._packet import Packet, Rule, Rules, Verdict
from phoenix_hypervisor.host.part import Seen, Task
from phoenix_hypervisor.model.address import Address, ident, kind
from phoenix_hypervisor.model.host.firewall import ClusterFirewall

DATACENTER = Address("firewall/datacenter")
SWITCH = Address("firewall/options")


@dataclass(frozen=True, slots=True)
class Way:
    """A new connection to a node that has to come about."""

    node: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """What is a node's own: its rules, whether it has the firewall on, its subnet and address."""

    rules: Sequence[Rule] = ()
    enabled: bool = True
    local_network: str = ""
    address: str = ""


@dataclass(frozen=True)
class World:
    """All that decides what comes in to the nodes of a cluster."""

    nodes: Mapping[str, NodeFilter] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    enabled: bool = False
    policy: str = "DROP"
    aliases: Mapping[str, str] = field(default_factory=dict)
    ipsets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[Rule]] = field(default_factory=dict)

    def verdict(self, way: Way) -> Verdict:
        """What happens to a connection."""
        node = self.nodes[way.node]
        if not self.enabled or not node.enabled:
            return Verdict("ACCEPT", "a firewall that is off")
        return Rules(
            node=node.rules,
            cluster=self.rules,
            policy=self.policy,
            aliases=self.aliases,
            ipsets=self.ipsets,
            groups=self.groups,
            local_network=node.local_network,
        ).verdict(way.packet)


def seen_world(seen: Seen) -> World:
    """As it is now."""
    facts, switch = seen.facts, seen.things.get(SWITCH, {})
    own, local = str(facts.get("node", "host")), str(facts.get("local_network") or "")
    nodes = {own: NodeFilter(_list(facts, "node_rules"), bool(switch.get("node.enabled")), local)}
    for name, other in cast("Mapping[str, Any]", facts.get("others") or {}).items():
        ip = str(other["address"])
        # Proxmox VE takes the subnet of the node's own address.
        is_near = local and ip and ip_address(ip) in ip_network(local, strict=False)
        same = local if is_near else ""
        nodes[name] = NodeFilter(other["rules"], bool(other["enabled"]), same, ip)
    return World(
        nodes=nodes,
        rules=_list(facts, "rules"),
        enabled=bool(switch.get("enabled")),
        policy=str(switch.get("policy_in") or "DROP"),
        aliases=dict(facts.get("aliases") or {}),
        ipsets=dict(facts.get("ipsets") or {}),
        groups=dict(facts.get("groups") or {}),
    )


def ways(firewall: ClusterFirewall, seen: Seen, world: World) -> Sequence[Way]:
    """What must stay reachable: the operator's connections, SSH and the API of every node."""
    own = str(seen.facts.get("node", "host"))
    mine = _operator.from_json(seen.facts.get("mine"))
    found = [Way(own, Packet(one.peer, one.server, one.port, one.interface)) for one in mine]
    ports = (_operator.SSH_PORT, _operator.API_PORT)
    first = mine[0] if mine else _operator.Connection("", "", 0)
    found += [
        Way(own, Packet(peer, first.server, port, first.interface))
        for peer in firewall.operators
        for port in ports
    ]
    peers = dict.fromkeys((*(one.peer for one in mine), *firewall.operators))
    found += [
        Way(name, Packet(peer, node.address, port))
        for name, node in world.nodes.items()
        for peer in peers
        for port in ports
        if name != own
    ]
    return tuple(dict.fromkeys(found))


def states(task: Task, firewall: ClusterFirewall, stack: str, world: World) -> Iterator[World]:
    """The world after each write that the task will make, in their order."""
    what, name = kind(task.address), ident(task.address)
    if task.address == SWITCH:
        yield from _switched(task, world)
    elif task.address == DATACENTER:
        for call in _rules.calls(world.rules, firewall.rules, stack):
            yield replace(world, rules=call.after)
    elif what == "firewall":
        node = world.nodes[name]
        for call in _rules.calls(node.rules, firewall.node_rules, stack):
            changed = replace(node, rules=call.after)
            yield replace(world, nodes={**world.nodes, name: changed})
    elif what == "alias":
        address = next(one.address for one in firewall.aliases if one.name == name)
        yield replace(world, aliases={**world.aliases, name.lower(): address})
    elif what == "ipset":
        entries = next(one.entries for one in firewall.ipsets if one.name == name)
        now = list(world.ipsets.get(name, ()))
        yield replace(world, ipsets={**world.ipsets, name: tuple(now)})
        for is_new, entry in filling(now, entries):
            now = [*now, entry] if is_new else [one for one in now if one != entry]
            yield replace(world, ipsets={**world.ipsets, name: tuple(now)})
    else:
        rules = next(one.rules for one in firewall.groups if one.name == name)
        there = world.groups.get(name, ())
        yield replace(world, groups={**world.groups, name: there})
        for call in _rules.calls(there, rules, stack):
            yield replace(world, groups={**world.groups, name: call.after})


def _switched(task: Task, world: World) -> Iterator[World]:
    """The node's own first, as it is written."""
    asked = {change.path: change.after for change in task.fields}
    if "node.enabled" in asked:
        own = next(iter(world.nodes))
        on = replace(world.nodes[own], enabled=bool(asked["node.enabled"]))
        world = replace(world, nodes={**world.nodes, own: on})
        yield world
    yield replace(
        world,
        enabled=bool(asked.get("enabled", world.enabled)),
        policy=str(asked.get("policy_in", world.policy)),
    )


def _list(facts: Mapping[str, Any], key: str) -> Sequence[Rule]:
    return cast("Sequence[Rule]", _rules.in_order(facts.get(key) or []))
