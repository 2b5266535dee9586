"""Ordered rules of Proxmox VE: which are ours, and how they get to their places.

A new rule lands at the top whatever position is asked for, so it is made switched off, moved, and
only then switched on: what lets in first, what keeps out last. Source: PVE::API2::Firewall::Rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phoenix_hypervisor.host._merge import Slot, Told, merged
from phoenix_hypervisor.host._packet import describe
from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.errors import Conflict
from phoenix_hypervisor.model.host.firewall import HostRule
from phoenix_hypervisor.model.node import Node

Row = Mapping[str, Any]
_KEYS = ("type", "action", "source", "dest", "proto", "dport", "sport", "macro", "iface", "comment")


def mark(stack: str) -> str:
    """The end of the comment of a rule that is ours."""
    return f"[phoenix {stack}]"


def parameters(rule: HostRule, stack: str) -> Told:
    """PVE's parameters of a rule, with the mark. Ports need a protocol: TCP where none is named."""
    ports, source_ports = _ports(rule.ports), _ports(rule.source_ports)
    given = {
        "type": "group" if rule.group else rule.direction,
        "action": rule.group or rule.action,
        "enable": "1",
        "source": rule.source,
        "dest": rule.dest,
        "proto": rule.proto or ("tcp" if ports or source_ports else None),
        "dport": ports,
        "sport": source_ports,
        "macro": rule.macro,
        "iface": rule.interface,
        "comment": f"{rule.comment} {mark(stack)}".strip(),
    }
    return {key: value for key, value in given.items() if value}


def order(rows: Sequence[Row], wanted: Iterable[HostRule], stack: str) -> list[Slot]:
    """The rules as they are to be: ours and those of others."""
    there = [(is_ours(row, stack), told(row)) for row in in_order(rows)]
    return merged(there, [parameters(rule, stack) for rule in wanted])


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By their positions."""
    return sorted(rows, key=lambda row: int(row.get("pos", 0)))


def is_ours(row: Row, stack: str) -> bool:
    """Whether it has our mark."""
    return str(row.get("comment") or "").strip().endswith(mark(stack))


def told(row: Row) -> Told:
    """A rule that is there, in the shape of `parameters`."""
    kept = {key: str(row[key]).strip() for key in _KEYS if row.get(key) not in (None, "")}
    return {**kept, "enable": "0" if str(row.get("enable", 1)) == "0" else "1"}


def differences(rows: Sequence[Row], slots: Sequence[Slot], stack: str) -> tuple[FieldChange, ...]:
    """What goes and what comes, by position."""
    stay = {slot.old for slot in slots}
    gone = [
        FieldChange(f"rule {position}", _shown(told(row), stack), None)
        for position, row in enumerate(in_order(rows))
        if position not in stay
    ]
    come = [
        FieldChange(f"rule {position}", None, _shown(slot.rule, stack))
        for position, slot in enumerate(slots)
        if slot.old is None
    ]
    return (*gone, *come)


async def write(node: Node, path: str, wanted: Sequence[HostRule], stack: str) -> None:
    """Brings ours to what is wanted; the others keep their order.

    Raises `Conflict` where somebody else writes at the same time.
    """
    now = [told(row) for row in in_order(await node.get(path))]
    slots = order(await node.get(path), wanted, stack)
    before: list[Slot | int] = list(range(len(now)))
    for index, slot in enumerate(slots):
        if slot.old is not None:
            continue
        behind = slots[index - 1] if index else None
        at = 0 if behind is None else before.index(_key(behind)) + 1
        await node.send("POST", path, **{**slot.rule, "enable": "0"})
        if at:
            await _change(node, path, 0, {**slot.rule, "enable": "0"}, moveto=str(at + 1))
        before.insert(at, slot)
    await _switch_on(node, path, before, accepting=True)
    stay = {slot.old for slot in slots}
    for position in reversed(range(len(before))):
        if isinstance(one := before[position], int) and one not in stay:
            await _change(node, path, position, now[one], method="DELETE")
            del before[position]
    await _switch_on(node, path, before, accepting=False)


def _may_accept(rule: Mapping[str, str]) -> bool:
    """A group's own rules may."""
    return rule["action"] == "ACCEPT" or rule.get("type") == "group"


async def _switch_on(
    node: Node, path: str, order_now: Sequence[Slot | int], *, accepting: bool
) -> None:
    for position, slot in enumerate(order_now):
        if isinstance(slot, Slot) and _may_accept(slot.rule) == accepting:
            await _change(node, path, position, {**slot.rule, "enable": "0"}, enable="1")


async def _change(
    node: Node, path: str, position: int, expected: Told, method: str = "PUT", **values: str
) -> None:
    """With the digest of what is there, so that nobody else's rule is the one that changes."""
    rows = in_order(await node.get(path))
    if position >= len(rows) or told(rows[position]) != expected:
        raise Conflict(f"somebody else changes {path} at the same time", hint="plan again")
    digest = {"digest": rows[position]["digest"]} if rows[position].get("digest") else {}
    await node.send(method, f"{path}/{position}", **digest, **values)


def _key(slot: Slot) -> Slot | int:
    return slot if slot.old is None else slot.old


def _shown(rule: Told, stack: str) -> str:
    plain = {**rule, "comment": rule.get("comment", "").removesuffix(mark(stack)).strip()}
    return describe(plain) + (" [off]" if rule["enable"] == "0" else "")


def _ports(ports: Sequence[str]) -> str:
    return ",".join(port.replace("-", ":") for port in ports)
