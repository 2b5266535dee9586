"""Ordered rules of Proxmox VE: which are ours, and how they get to their places.

A new rule lands at the top whatever position is asked for, so it is made switched off, moved, and
only then switched on: what lets in first, what keeps out last. Source: PVE::API2::Firewall::Rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phoenix_hypervisor.host._merge import Slot, Told, merged
from phoenix_hypervisor.host._packet import describe
from phoenix_hypervisor.model import pve_rule
from phoenix_hypervisor.model.change import FieldChange
from phoenix_hypervisor.model.errors import Conflict
from phoenix_hypervisor.model.host.firewall import HostRule
from phoenix_hypervisor.model.node import Node
from phoenix_hypervisor.model.pve_rule import told

Row = Mapping[str, Any]


def mark(stack: str) -> str:
    """The end of the comment of a rule that is ours."""
    return f"[phoenix {stack}]"


def parameters(rule: HostRule, stack: str) -> Told:
    """PVE's parameters of a rule, with the mark."""
    return pve_rule.parameters(
        direction="group" if rule.group else rule.direction,
        action=rule.group or rule.action,
        source=rule.source,
        dest=rule.dest,
        proto=rule.proto,
        ports=rule.ports,
        source_ports=rule.source_ports,
        macro=rule.macro,
        interface=rule.interface,
        comment=f"{rule.comment} {mark(stack)}".strip(),
    )


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


@dataclass(frozen=True, slots=True)
class Call:
    """One write to a list: to the rule `before` at `position` (None: a new one); the list after."""

    method: str
    position: int | None
    before: Told
    values: Told
    after: tuple[Told, ...]


def calls(rows: Sequence[Row], wanted: Sequence[HostRule], stack: str) -> Iterator[Call]:
    """The writes that bring ours to what is wanted; the others keep their order. Pure."""
    now = [told(row) for row in in_order(rows)]
    slots = order(rows, wanted, stack)
    marks: list[Slot | int] = list(range(len(now)))
    place = 0
    for slot in slots:
        if slot.old is not None:
            place = marks.index(slot.old) + 1
            continue
        off = {**slot.rule, "enable": "0"}
        now.insert(0, off)
        yield Call("POST", None, off, off, tuple(now))
        if place:
            now.insert(place, now.pop(0))
            yield Call("PUT", 0, off, {"moveto": str(place + 1)}, tuple(now))
        marks.insert(place, slot)
        place += 1
    yield from _switched_on(now, marks, accepting=True)
    stay = {slot.old for slot in slots}
    for position in reversed(range(len(marks))):
        if isinstance(one := marks[position], int) and one not in stay:
            gone = now.pop(position)
            del marks[position]
            yield Call("DELETE", position, gone, {}, tuple(now))
    yield from _switched_on(now, marks, accepting=False)


def _switched_on(
    now: list[Told], marks: Sequence[Slot | int], *, accepting: bool
) -> Iterator[Call]:
    for position, mark_ in enumerate(marks):
        if isinstance(mark_, Slot) and _may_accept(mark_.rule) == accepting:
            off, now[position] = now[position], mark_.rule
            yield Call("PUT", position, off, {"enable": "1"}, tuple(now))


def _may_accept(rule: Mapping[str, str]) -> bool:
    """A group's own rules may."""
    return rule["action"] == "ACCEPT" or rule.get("type") == "group"


async def write(node: Node, path: str, wanted: Sequence[HostRule], stack: str) -> None:
    """Makes the calls. Raises `Conflict` where somebody else writes at the same time."""
    for call in calls(await node.get(path), wanted, stack):
        if call.position is None:
            await node.send(call.method, path, **call.values)
        else:
            await _change(node, path, call.position, call.before, call.method, **call.values)


async def _change(
    node: Node, path: str, position: int, expected: Told, method: str, **values: str
) -> None:
    """With the digest of what is there, so that nobody else's rule is the one that changes."""
    rows = in_order(await node.get(path))
    if position >= len(rows) or told(rows[position]) != expected:
        raise Conflict(f"somebody else changes {path} at the same time", hint="plan again")
    digest = {"digest": rows[position]["digest"]} if rows[position].get("digest") else {}
    await node.send(method, f"{path}/{position}", **digest, **values)


def _shown(rule: Told, stack: str) -> str:
    plain = {**rule, "comment": rule.get("comment", "").removesuffix(mark(stack)).strip()}
    return describe(plain) + (" [off]" if rule["enable"] == "0" else "")
