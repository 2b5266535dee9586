"""`phoenix history`: what was done to this folder's stack, when, by whom, and how it ended."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.plan import render, saved

if TYPE_CHECKING:
    from rich.table import Table

    from phoenix_hypervisor.history.reading import PastRun

SETTINGS = {
    "epilog": "Examples: phoenix history · phoenix history last · phoenix history 3f9c · "
    "phoenix --json history --limit 5"
}
_RESULTS = {
    "ok": "[green]ok[/]",
    "failed": "[red]failed[/]",
    "interrupted": "[yellow]interrupted[/]",
    "killed": "[red]killed[/]",
    "running": "[cyan]running[/]",
}
_SHORT = 7


def history(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(help="A run's id, the beginning of one, or `last`.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the last runs.")] = 20,
) -> None:
    """Shows the runs that changed something, or one of them: its plan, its events and its end.

    It is kept in the folder's `.phoenix/`; nothing but this command needs it.
    """
    context: Context = ctx.obj
    from phoenix_hypervisor.history import as_json, reading

    if run is not None:
        one = reading.run(context.folder, run)
        if context.json:
            context.document({"format": 1, "run": as_json.whole(one)})
        else:
            _tell(context, one)
        return
    found = reading.runs(context.folder, limit)
    if context.json:
        context.document({"format": 1, "runs": [as_json.line(one) for one in found]})
    elif found:
        context.out.print(_table(found))
    else:
        context.print("no run is known: the history is empty")


def _table(found: "list[PastRun]") -> "Table":
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for column in ("run", "when", "who", "command", "result", "took", "changes", "commit"):
        shown.add_column(column, header_style="bold")
    for one in found:
        shown.add_row(
            one.id,
            _shown_when(one.began),
            cell(one.who),
            cell(one.command),
            _RESULTS.get(one.result, one.result),
            "" if one.took_s is None else render.seconds(one.took_s),
            _counted(one.summary),
            _commit(one),
        )
    return shown


def _tell(context: Context, one: "PastRun") -> None:
    context.print(
        f"[bold]{one.id}[/]  {_shown_when(one.began)}  {cell(one.who)} on {cell(one.host)}"
    )
    context.print(f"{cell(one.command)}  [dim](phoenix {one.version}, {cell(one.target)})[/]")
    if commit := _commit(one):
        context.print(f"commit {commit}")
    context.print("")
    context.print(_plan(one))
    context.print("")
    for event in one.events:
        message = f": {cell(event['message'])}" if event["message"] else ""
        clock = f"{event['elapsed_s']:7.1f} s"
        what = f"{event['address']} {event['step']} {event['event']}"
        context.print(f"[dim]{clock}[/]  {what}{message}")
    for failure in (one.report or {}).get("failed", ()):
        where = f"{failure['address']} {failure['step']}"
        context.print(f"[bold red]failed:[/] {where}: {escape(failure['message'])}")
        if failure["hint"]:
            context.print(f"[bold]hint:[/] {escape(failure['hint'])}")
    for line in (one.report or {}).get("half_done", ()):
        context.print(f"[yellow]half done:[/] {escape(line)}")
    for line in (one.report or {}).get("left_out", ()):
        context.print(f"[yellow]left out:[/] {escape(line)}")
    if one.error:
        context.print(f"[bold red]error:[/] {escape(one.error)}")
    took = "" if one.took_s is None else f" after {render.seconds(one.took_s)}"
    context.print(f"{_RESULTS.get(one.result, one.result)}{took}")


def _plan(one: "PastRun") -> str:
    if one.plan is None:
        return f"{_counted(one.summary)} [dim](plan and events are forgotten by now)[/]"
    try:
        return render.text(saved.read(one.plan))
    except ValueError:
        return f"{_counted(one.summary)} [dim](planned by another version: --json has it)[/]"


def _counted(summary: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {action}" for action, count in summary.items()) or "none"


def _commit(one: "PastRun") -> str:
    if one.commit is None:
        return ""
    return one.commit[:_SHORT] + (" + edits" if one.dirty else "")


def _shown_when(moment: float) -> str:
    """Local time, with how far it is from UTC: a folder's history may be read elsewhere."""
    from phoenix_hypervisor.history import as_json

    return as_json.when(moment).isoformat(" ", "seconds")
