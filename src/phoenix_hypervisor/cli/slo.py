"""`phoenix slo`: what guests promise, and how they keep it."""

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.model.errors import ConfigError

if TYPE_CHECKING:
    from phoenix_hypervisor.app.objectives import Kept, Objective

SETTINGS = {"epilog": "Examples: phoenix slo · phoenix slo web · phoenix --json slo --strict"}
_BAR = 10
_PERCENT = 100
_ALL = 0.995
_TINY = 0.05
_MINUTE_S = 60.0
_BURNS = {"page": "[bold red]burns[/]", "ticket": "[yellow]burns[/]"}


def slo(
    ctx: typer.Context,
    guests: Annotated[list[str] | None, typer.Argument(help="Addresses, ids or names.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a promise is broken.")
    ] = False,
) -> None:
    """Shows how each guest keeps its objectives, as `phoenix watch` has measured.

    It reads the files and the folder's measurements only. What nobody watched counts for nothing.
    """
    context: Context = ctx.obj
    found = _found(context, guests or [])
    if context.json:
        from phoenix_hypervisor.app import objectives

        context.document(objectives.document(found))
    elif not any(each.windows["30d"].watched for each in found):
        context.out.print(_table(found))
        context.print("nothing was watched in the last 30 days: `phoenix watch` measures")
    else:
        context.out.print(_table(found))
    if strict and any(each.broken for each in found):
        raise typer.Exit(EXIT_FAILED)


def _found(context: Context, words: Sequence[str]) -> "list[Objective]":
    from phoenix_hypervisor import app
    from phoenix_hypervisor.app import naming, objectives

    loaded = app.read(context.folder, context.on, os.environ)
    if loaded.desired is None:
        raise ConfigError(f"the files in {context.folder} have errors", loaded.problems)
    wanted = naming.meant(loaded.desired, words)
    found = objectives.measured(loaded.desired, time.time())
    return [each for each in found if not wanted or each.guest in wanted]


def _table(found: "Sequence[Objective]") -> Table:
    shown = Table(box=None, pad_edge=False)
    columns = ("guest", "name", "objective", "1 h", "1 d", "7 d", "30 d")
    for column in (*columns, "budget left", "burn rate", "in time"):
        shown.add_column(column, header_style="bold")
    for each in found:
        windows = each.windows.values()
        shown.add_row(
            each.guest,
            cell(each.name),
            _objective(each),
            *(_availability(kept) for kept in windows),
            _left(each.windows["30d"]),
            _burn(each),
            _in_time(each),
        )
        if any(0 < kept.watched < _ALL for kept in windows):
            parts = (f"[dim]{_share(kept.watched)}[/]" for kept in windows)
            shown.add_row("", "", "[dim]  watched[/]", *parts)
    return shown


def _objective(each: "Objective") -> str:
    promised = []
    if each.slo.availability is not None:
        promised.append(f"{each.slo.availability:g} %")
    if each.slo.latency_p95_ms is not None:
        promised.append(f"{each.slo.latency_p95_ms:g} ms")
    return ", ".join(promised) or "[dim]-[/]"


def _availability(kept: "Kept") -> str:
    share = kept.totals.availability
    if share is None:
        return "[dim]-[/]"
    broken = kept.budget is not None and kept.budget.kept is False
    return f"[red]{_exact(share)}[/]" if broken else _exact(share)


def _exact(share: float) -> str:
    """Never rounded up to 100 %: what failed once is not without a failure."""
    percent = share * _PERCENT
    digits = next((n for n in (2, 3, 4) if round(percent, n) < _PERCENT), 5)
    return "100 %" if share >= 1 else f"{percent:.{digits}f} %"


def _share(part: float) -> str:
    """`27 %`, `0.4 %`."""
    return f"{part * _PERCENT:.0f} %" if part >= _TINY else f"{part * _PERCENT:.1f} %"


def _left(kept: "Kept") -> str:
    if kept.budget is None:
        return "[dim]-[/]"
    left = min(1.0, max(0.0, kept.budget.left))
    filled = int(left * _BAR)  # full and empty only where it is so
    filled = max(1, filled) if left > 0 else filled
    colour = "red" if left <= 0 else "yellow" if left < 1 / 4 else "green"
    bar = f"[{colour}]{'█' * filled}[/][dim]{'░' * (_BAR - filled)}[/]"
    if kept.budget.left_s < 0:
        return f"{bar} [bold red]broken[/] by {_time(-kept.budget.left_s)}"
    exact = left * _PERCENT
    digits = next((n for n in (0, 1, 2, 3) if round(exact, n) < _PERCENT or left >= 1), 4)
    return f"{bar} {exact:.{digits}f} % ({_time(kept.budget.left_s)})"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE_S else f"{seconds / _MINUTE_S:.0f} min"


def _burn(each: "Objective") -> str:
    if each.rate is None:
        return "[dim]-[/]"
    told = f" {_BURNS[each.burning.rule.severity]}" if each.burning else ""
    return f"{each.rate:.1f}{told}"


def _in_time(each: "Objective") -> str:
    kept = each.windows["30d"]
    if kept.in_time is None:
        return "[dim]-[/]"
    share = _exact(1 - kept.slow / kept.answers)
    return share if kept.in_time else f"[red]{share}[/]"
