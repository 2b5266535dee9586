"""Aliases, IP sets and security groups: what rules name. None of them is ever removed."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any, cast
from urllib.parse import quote

from phoenix_hypervisor.host import _rules
from phoenix_hypervisor.host.part import Seen, Task
from phoenix_hypervisor.model.address import Address, ident, kind
from phoenix_hypervisor.model.change import Action, FieldChange
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.host.firewall import ClusterFirewall, HostRule
from phoenix_hypervisor.model.node import Node

_CLUSTER = "/cluster/firewall"
_BUILT_IN = frozenset({"local_network"})


def objects(firewall: ClusterFirewall, seen: Seen, stack: str) -> list[Task]:
    """What is missing or differs: aliases, then the sets that name them, then groups."""
    tasks: list[Task] = []
    aliases = cast("Mapping[str, str]", seen.facts.get("aliases") or {})
    for alias in firewall.aliases:
        there = aliases.get(alias.name.lower())
        if there is None or _plain(there) != _plain(alias.address):
            field = FieldChange("address", there, alias.address)
            tasks.append(_task(f"alias/{alias.name}", there is None, (field,)))
    grounds = _new(tasks)
    ipsets = cast("Mapping[str, list[str]]", seen.facts.get("ipsets") or {})
    for ipset in firewall.ipsets:
        has, wanted = ipsets.get(ipset.name), sorted(map(_plain, ipset.entries))
        if has is None or sorted(map(_plain, has)) != wanted:
            before: Json = None if has is None else ", ".join(has)
            field = FieldChange("entries", before, ", ".join(ipset.entries))
            tasks.append(_task(f"ipset/{ipset.name}", has is None, (field,), grounds))
    grounds = _new(tasks)
    groups = cast("Mapping[str, list[dict[str, Any]]]", seen.facts.get("groups") or {})
    for group in firewall.groups:
        rows = groups.get(group.name)
        slots = _rules.order(rows or [], group.rules, stack)
        found = _rules.differences(rows or [], slots, stack)
        if found or rows is None:
            tasks.append(_task(f"group/{group.name}", rows is None, found, grounds))
    return tasks


def _new(tasks: Sequence[Task]) -> tuple[Address, ...]:
    """What has to be there before it can be named."""
    return tuple(task.address for task in tasks if task.action is Action.CREATE)


async def make_object(node: Node, task: Task, firewall: ClusterFirewall, stack: str) -> None:
    """Makes or mends one."""
    name, is_new = ident(task.address), task.action is Action.CREATE
    comment = _rules.mark(stack)
    if kind(task.address) == "alias":
        address = next(one.address for one in firewall.aliases if one.name == name)
        if is_new and not await _has(node, "aliases", "name", name):
            await node.send("POST", f"{_CLUSTER}/aliases", name=name, cidr=address, comment=comment)
        else:
            at = f"{_CLUSTER}/aliases/{name}"
            told = (await node.get(at)).get("comment")  # a write that names none removes it
            await node.send("PUT", at, cidr=address, **({"comment": told} if told else {}))
    elif kind(task.address) == "ipset":
        if is_new and not await _has(node, "ipset", "name", name):
            await node.send("POST", f"{_CLUSTER}/ipset", name=name, comment=comment)
        entries = next(one.entries for one in firewall.ipsets if one.name == name)
        await _fill(node, f"{_CLUSTER}/ipset/{name}", entries)
    else:
        if is_new and not await _has(node, "groups", "group", name):
            await node.send("POST", f"{_CLUSTER}/groups", group=name, comment=comment)
        rules = next(one.rules for one in firewall.groups if one.name == name)
        await _rules.write(node, f"{_CLUSTER}/groups/{name}", rules, stack)


def unknown_names(firewall: ClusterFirewall, seen: Seen) -> Iterator[str]:
    """Names in rules that nobody declared, and that are not there: PVE would leave the rule out."""
    aliases = {one.name.lower() for one in firewall.aliases} | _BUILT_IN
    ipsets = {one.name for one in firewall.ipsets}
    groups = {one.name for one in firewall.groups}
    aliases |= set(cast("dict[str, Json]", seen.facts.get("aliases") or {}))
    ipsets |= set(cast("dict[str, Json]", seen.facts.get("ipsets") or {}))
    groups |= set(cast("dict[str, Json]", seen.facts.get("groups") or {}))
    inside = [rule for group in firewall.groups for rule in group.rules]
    for rule in (*firewall.node_rules, *firewall.rules, *inside):
        if rule.group is not None and rule.group not in groups:
            yield f"firewall: the security group {rule.group} is neither declared nor there"
        for place in _places(rule):
            name = place.removeprefix("+").removeprefix("dc/")
            if place.startswith("+") and name not in ipsets:
                yield f"firewall: the IP set {name} is neither declared nor there"
            elif not place.startswith("+") and _is_name(name) and name.lower() not in aliases:
                yield f"firewall: the alias {name} is neither declared nor there"


def filling(there: Sequence[str], entries: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """The entries to add (True) and to remove, in order: new ones first, unless one is turned."""
    has = {_plain(entry): entry for entry in there}
    wanted = {_plain(entry): entry for entry in entries}
    turned = {key.lstrip("!") for key in has} & {key.lstrip("!") for key in wanted}
    first = [key for key in has if key not in wanted and key.lstrip("!") in turned]
    yield from ((False, has[key]) for key in first)
    yield from ((True, entry) for key, entry in wanted.items() if key not in has)
    gone = [key for key in has if key not in wanted and key not in first]
    yield from ((False, has[key]) for key in gone)


def entry_of(row: Mapping[str, Any]) -> str:
    """An entry of the API as the files write it, with `!` where it is left out."""
    left_out = str(row.get("nomatch") or "0") != "0"
    return ("!" if left_out else "") + str(row["cidr"])


async def _fill(node: Node, path: str, entries: tuple[str, ...]) -> None:
    for is_new, entry in filling([entry_of(row) for row in await node.get(path)], entries):
        cidr = entry.removeprefix("!")
        if is_new:
            left_out = {"nomatch": "1"} if entry.startswith("!") else {}
            await node.send("POST", path, cidr=cidr, **left_out)
        else:
            await node.send("DELETE", f"{path}/{quote(cidr, safe='')}")


async def _has(node: Node, what: str, key: str, name: str) -> bool:
    return any(row[key] == name for row in await node.get(f"{_CLUSTER}/{what}"))


def _task(
    address: str,
    is_new: bool,
    fields: tuple[FieldChange, ...],
    after: tuple[Address, ...] = (),
) -> Task:
    action = Action.CREATE if is_new else Action.UPDATE
    reason = "it is not there" if is_new else "it is not as the files say"
    return Task(Address(address), action, fields, reason, after=after)


def _plain(entry: str) -> str:
    """`10.0.0.1` and `10.0.0.1/32` are the same."""
    bare = entry.removeprefix("!")
    try:
        bare = str(ip_network(bare, strict=False))
    except ValueError:
        bare = bare.removeprefix("dc/").lower()
    return ("!" if entry.startswith("!") else "") + bare


def _places(rule: HostRule) -> Iterator[str]:
    yield from (place for place in (rule.source, rule.dest) if place)


def _is_name(place: str) -> bool:
    return place[:1].isalpha() and ":" not in place and "," not in place
