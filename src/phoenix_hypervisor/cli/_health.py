"""How `status` and `check` show guests: the JSON shape is the same for both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from phoenix_hypervisor.cli._text import cell

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Health

_STATES = {
    "running": "[green]running[/]",
    "stopped": "[yellow]stopped[/]",
    "absent": "[dim]absent[/]",
    "unknown": "[yellow]unknown[/]",
}
_HEALTH = {True: "[green]healthy[/]", False: "[bold red]not healthy[/]", None: "[dim]-[/]"}


SIMULATED = "[yellow]simulated:[/] no guest is real, and no check was asked"


def as_json(guests: Sequence["Health"], *, real: bool) -> dict[str, object]:
    """The document of INTERFACE: every guest with its state, addresses and checks.

    `real` False: on the simulated node, where no check can be asked.
    """
    return {
        "format": 1,
        "simulated": not real,
        "guests": [
            {
                "address": guest.address,
                "name": guest.name,
                "state": guest.state,
                "managed": guest.managed,
                "healthy": guest.healthy,
                "addresses": list(guest.seen.addresses) if guest.seen else [],
                "checks": [
                    {
                        "name": check.title,
                        "kind": check.kind,
                        "ok": outcome.ok,
                        "latency_ms": outcome.latency_ms,
                        "message": outcome.message,
                    }
                    for check, outcome in guest.answers
                ],
            }
            for guest in guests
        ],
    }


def table(guests: Sequence["Health"], *, with_checks: bool) -> Table:
    """The same for people."""
    shown = Table(box=None, pad_edge=False)
    for column in ("guest", "name", "state", "health", "addresses", "checks"):
        shown.add_column(column, header_style="bold")
    for guest in guests:
        passed = sum(outcome.ok for _, outcome in guest.answers)
        shown.add_row(
            guest.address,
            cell(guest.name),
            _STATES[guest.state] if guest.managed else "[red]not ours[/]",
            _HEALTH[guest.healthy],
            cell(" ".join(guest.seen.addresses) if guest.seen else guest.hidden),
            f"{passed}/{len(guest.answers)}" if guest.answers else "",
        )
        for check, outcome in guest.answers:
            if with_checks or not outcome.ok:
                sign = "[green]✓[/]" if outcome.ok else "[red]✗[/]"
                took = "" if outcome.latency_ms is None else f"{outcome.latency_ms:.0f} ms"
                shown.add_row("", f"{sign} {cell(check.title)}", took, "", cell(outcome.message))
    return shown
