"""How `discover` shows what is on a target: tables for people, one document for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.model.inventory import FoundCard, FoundGuest, Inventory
from phoenix_hypervisor.model.plan import Plan

_MIB_IN_GIB = 1024
_STATES = {
    "running": "[green]running[/]",
    "stopped": "[yellow]stopped[/]",
    "unknown": "[yellow]unknown[/]",
}
Rows = Sequence[Sequence[str]]


def as_json(found: Inventory, target: str, plan: Plan | None) -> dict[str, Any]:
    """The document. `would_change` is the folder's plan in short; null where there is no folder."""
    return {
        "format": 1,
        "target": target,
        "nodes": [asdict(one) for one in found.nodes],
        "guests": [_guest(one) for one in found.guests],
        "storages": [asdict(one) for one in found.pools],
        "bridges": [asdict(one) for one in found.bridges],
        "cards": [asdict(one) for one in found.cards],
        "templates": [asdict(one) for one in found.templates],
        "notes": list(found.notes),
        "would_change": None
        if plan is None
        else {"summary": plan.summary, "refusals": list(plan.refusals)},
    }


def tables(found: Inventory) -> Iterable[tuple[str, Table]]:
    """A heading and a table for each kind of thing that is there."""
    kinds: tuple[tuple[str, Sequence[str], Rows], ...] = (
        (
            "Nodes",
            ("node", "version", "memory", "cores"),
            [
                (
                    cell(one.name) if one.online else f"{cell(one.name)} [red]offline[/]",
                    cell(one.version),
                    _used(one.used_memory_mb, one.memory_mb),
                    _text(one.cores),
                )
                for one in found.nodes
            ],
        ),
        (
            "Guests",
            (
                "guest",
                "name",
                "state",
                "node",
                "memory",
                "cores",
                "disk",
                "addresses",
                "tags",
                "managed",
            ),
            [_row(one) for one in found.guests],
        ),
        (
            "Storages",
            ("storage", "kind", "takes", "free", "size", "nodes"),
            [
                (
                    cell(one.name) if one.active else f"{cell(one.name)} [red]not active[/]",
                    cell(one.kind),
                    cell(", ".join(one.content)),
                    _gib(one.free_gb),
                    _gib(one.size_gb),
                    cell(", ".join(one.nodes)) + (" [dim](shared)[/]" if one.shared else ""),
                )
                for one in found.pools
            ],
        ),
        (
            "Bridges",
            ("bridge", "node", "address", "ports"),
            [
                (cell(one.name), cell(one.node), cell(one.cidr or ""), cell(" ".join(one.ports)))
                for one in found.bridges
            ],
        ),
        (
            "Cards",
            ("card", "node", "name", "memory", "GPU", "mapping", "IOMMU group", "used by"),
            [_card(one) for one in found.cards],
        ),
        (
            "Templates",
            ("template", "for", "storage", "node", "size"),
            [
                (
                    cell(one.name),
                    one.kind,
                    cell(one.pool),
                    cell(one.node),
                    "" if one.size_mb is None else f"{one.size_mb} MiB",
                )
                for one in found.templates
            ],
        ),
    )
    for title, columns, rows in kinds:
        if rows:
            yield f"{title} ({len(rows)})", _table(columns, rows)


def _guest(one: FoundGuest) -> dict[str, Any]:
    """`sayable`: whether the files have words for it; `unsaid` tells what they leave out."""
    told = {key: value for key, value in asdict(one).items() if key != "words"}
    return told | {"sayable": one.words is not None}


def _table(columns: Sequence[str], rows: Rows) -> Table:
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, header_style="bold")
    for row in rows:
        shown.add_row(*row)
    return shown


def _row(one: FoundGuest) -> Sequence[str]:
    owner = f"stack {cell(one.stack)}" if one.stack else "[dim]-[/]"
    state = _STATES.get(one.state, one.state)
    return (
        one.address or "[dim]-[/]",
        cell(one.name),
        f"{state} [dim](template)[/]" if one.is_template else state,
        cell(one.node),
        _memory(one.memory_mb),
        _text(one.cores),
        _gib(one.disk_gb),
        cell(" ".join(one.addresses)),
        cell(" ".join(one.tags)),
        owner + (", protected" if one.protected else ""),
    )


def _card(one: FoundCard) -> Sequence[str]:
    gpu = one.gpu
    return (
        one.pci,
        cell(one.node),
        cell(gpu.name if gpu is not None and gpu.name else one.name),
        _memory(gpu.memory_mb if gpu is not None else None),
        "" if gpu is None else str(gpu.index),
        cell(one.mapping or ""),
        _text(one.group),
        cell(", ".join(one.users)),
    )


def _text(value: float | None) -> str:
    return "" if value is None else str(value)


def _gib(amount: float | None) -> str:
    return "" if amount is None else f"{amount:g} GiB"


def _memory(amount_mb: int | None) -> str:
    if amount_mb is None:
        return ""
    if amount_mb % _MIB_IN_GIB and amount_mb < 8 * _MIB_IN_GIB:
        return f"{amount_mb} MiB"
    return f"{amount_mb / _MIB_IN_GIB:.3g} GiB"


def _used(used_mb: int | None, whole_mb: int | None) -> str:
    return (
        f"{_memory(used_mb)} of {_memory(whole_mb)}" if used_mb and whole_mb else _memory(whole_mb)
    )
