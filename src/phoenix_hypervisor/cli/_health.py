"""How `status` and `check` show guests: the JSON shape is the same for both."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table

from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.model.address import Address

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


def shown(
    guests: Sequence["Health"],
    *,
    with_checks: bool,
    ages: Mapping[Address, float] | None = None,
) -> Group:
    """Guests, and below them the checks that failed (`with_checks`: all), for people.

    `ages`: seconds since a watcher asked each guest, where one does.
    """
    watched = () if ages is None else ("watched",)
    table = _table("guest", "name", "state", "health", "addresses", "checks", *watched)
    answers = _table("guest", "check", "took", "says")
    for guest in guests:
        passed = sum(outcome.ok for _, outcome in guest.answers)
        table.add_row(
            guest.address,
            cell(guest.name),
            _STATES[guest.state] if guest.managed else "[red]not ours[/]",
            _HEALTH[guest.healthy] + (", [yellow]left out[/]" if guest.left_out else ""),
            cell(" ".join(guest.seen.addresses) if guest.seen else guest.hidden),
            f"{passed}/{len(guest.answers)}" if guest.answers else "",
            *([] if ages is None else [_ago(ages.get(guest.address))]),
        )
        for check, outcome in guest.answers:
            if with_checks or not outcome.ok:
                sign = "[green]✓[/]" if outcome.ok else "[red]✗[/]"
                took = "" if outcome.latency_ms is None else f"{outcome.latency_ms:.0f} ms"
                title = f"{sign} {cell(check.title)}"
                answers.add_row(cell(guest.name), title, took, cell(outcome.message))
    return Group(table, "", answers) if answers.row_count else Group(table)


def _table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, header_style="bold")
    return made


def _ago(age_s: float | None) -> str:
    return "" if age_s is None else f"{age_s:.0f} s ago"
