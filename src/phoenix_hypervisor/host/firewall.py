"""Proxmox VE's firewall above the guests: aliases, IP sets, groups, rules, and the switch.

Only what the files name is touched, and rules that bear our mark. A rule set that would lock out
the operator is refused: what would happen to a new connection is worked out (`_packet`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from phoenix_hypervisor.host import _operator, _rules
from phoenix_hypervisor.host._firewall_objects import make_object, objects, unknown_names
from phoenix_hypervisor.host._firewall_read import read
from phoenix_hypervisor.host._packet import Packet, Rules
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.address import Address, ident, kind
from phoenix_hypervisor.model.change import Action, FieldChange
from phoenix_hypervisor.model.desired import Desired, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import Unsupported
from phoenix_hypervisor.model.host.firewall import ClusterFirewall, HostRule
from phoenix_hypervisor.model.node import Node

_CLUSTER = "/cluster/firewall"
DATACENTER = Address("firewall/datacenter")
SWITCH = Address("firewall/options")


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
        """Objects first, then rules, then the switch. Refuses what locks the operator out."""
        del choice
        firewall = desired.host.setup.firewall
        if not firewall.declared:
            return Decided()
        node = str(seen.facts.get("node", "host"))
        switch = differences([Wanted(SWITCH, _switch(firewall))], seen, reason="it is off")
        if not firewall.enabled:
            return Decided(tuple(switch))
        tasks = objects(firewall, seen, desired.stack)
        grounds = tuple(task.address for task in tasks)
        for address, key, rules in _levels(firewall, node):
            rows = _list(seen, key)
            slots = _rules.order(rows, rules, desired.stack)
            if found := _rules.differences(rows, slots, desired.stack):
                why = "its rules are not as the files say"
                tasks.append(Task(address, Action.UPDATE, found, why, after=grounds))
        before = tuple(task.address for task in tasks)
        tasks += [Task(**_fields(task), after=before) for task in switch]
        unknown = tuple(unknown_names(firewall, seen))
        if unknown or not tasks:
            return Decided(tuple(tasks), refusals=unknown)
        after = _after(firewall, seen, desired.stack)
        ways = tuple(_ways(firewall, seen))
        refusals = tuple(_locked_out(after, ways, node))
        notes = () if ways else (_UNKNOWN,)
        return Decided(tuple(tasks), refusals=refusals, notes=notes)

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Raises `Conflict` where somebody else changes the same."""
        del tell
        firewall = desired.host.setup.firewall
        if task.address == SWITCH:
            await _set_switch(node, task)
            return
        if kind(task.address) == "firewall":
            for address, _, rules in _levels(firewall, node.name):
                if address == task.address:
                    await _rules.write(node, _path(address), rules, desired.stack)
            return
        await make_object(node, task, firewall, desired.stack)


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


def _fields(task: Task) -> dict[str, Any]:
    return {
        "address": task.address,
        "action": Action.UPDATE,
        "fields": tuple(FieldChange(one.path, one.before, one.after) for one in task.fields),
        "reason": task.reason,
    }


def _after(firewall: ClusterFirewall, seen: Seen, stack: str) -> Rules:
    """The rule set as it will be."""

    def final(rows: Sequence[Mapping[str, Any]], rules: Sequence[HostRule]) -> list[dict[str, str]]:
        return [slot.rule for slot in _rules.order(rows, rules, stack)]

    groups: dict[str, Any] = dict(cast("Mapping[str, Any]", seen.facts.get("groups") or {}))
    groups |= {one.name: final(groups.get(one.name, []), one.rules) for one in firewall.groups}
    aliases = cast("dict[str, str]", seen.facts.get("aliases") or {})
    ipsets = cast("dict[str, list[str]]", seen.facts.get("ipsets") or {})
    return Rules(
        node=final(_list(seen, "node_rules"), firewall.node_rules),
        cluster=final(_list(seen, "rules"), firewall.rules),
        policy=firewall.policy_in,
        aliases={**aliases, **{one.name.lower(): one.address for one in firewall.aliases}},
        ipsets={**ipsets, **{one.name: one.entries for one in firewall.ipsets}},
        groups=groups,
        local_network=str(seen.facts.get("local_network") or ""),
    )


def _ways(firewall: ClusterFirewall, seen: Seen) -> Iterator[Packet]:
    mine = _operator.from_json(seen.facts.get("mine"))
    for one in mine:
        yield Packet(one.peer, one.server, one.port, one.interface)
    ports = (_operator.SSH_PORT, _operator.API_PORT)
    first = mine[0] if mine else _operator.Connection("", "", 0)
    for peer in firewall.operators:
        for port in ports:
            yield Packet(peer, first.server, port, first.interface)


def _locked_out(rules: Rules, ways: Sequence[Packet], node: str) -> Iterator[str]:
    for way in dict.fromkeys(ways):
        verdict = rules.verdict(way)
        if not verdict.passes:
            yield (
                f"firewall: it would lock you out: connections from {way.source} to port "
                f"{way.port} of {node} meet {verdict.why}. Let them in by a rule before it, or put "
                "the address into firewall.ipsets.management"
            )


def _list(seen: Seen, key: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", seen.facts.get(key) or [])


PART = FirewallPart()
