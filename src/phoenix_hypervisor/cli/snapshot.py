"""`phoenix snapshot`: takes, lists and deletes snapshots of managed guests by hand."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.cli._held import held
from phoenix_hypervisor.cli._text import cell
from phoenix_hypervisor.model.errors import PhoenixError, UsageError
from phoenix_hypervisor.model.snapshot import remarks
from phoenix_hypervisor.plan.undo import age

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session
    from phoenix_hypervisor.app.undo import Listed

SETTINGS = {
    "epilog": "Examples: phoenix snapshot web db · phoenix snapshot web --name before-upgrade · "
    "phoenix snapshot --list · phoenix snapshot web --delete before-upgrade"
}


def snapshot(
    ctx: typer.Context,
    guests: Annotated[list[str] | None, typer.Argument(help="Addresses, ids or names.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call it; else a name with the time.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="Show the snapshots of these guests, or of all.")
    ] = False,
    gone: Annotated[
        str | None, typer.Option("--delete", help="Delete the snapshot of this name.")
    ] = None,
) -> None:
    """Takes a snapshot of guests with their volumes, while they run; `rollback` goes back to it."""
    context: Context = ctx.obj
    if sum((name is not None, listing, gone is not None)) > 1:
        raise UsageError("--name, --list and --delete are three different things: give one")
    if not guests and not listing:
        raise UsageError("name the guests to take a snapshot of, or give --list")
    if listing:
        raise typer.Exit(context.run(_list(context, guests or [])))
    raise typer.Exit(context.run(_change(context, guests or [], name, gone)))


async def _change(context: Context, guests: list[str], name: str | None, gone: str | None) -> int:
    from phoenix_hypervisor.app import undo
    from phoenix_hypervisor.cli._carry_out import carry_out
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session, held(context, session, "phoenix snapshot"):
        context.warnings(session.warnings)
        if gone is None:
            plan, observed = await undo.plan_take(session, guests, name)
        else:
            plan, observed = await undo.plan_delete(session, guests, gone)
        if plan.refusals:
            raise PhoenixError(
                "this can't be done:\n  " + "\n  ".join(plan.refusals), hint="nothing was changed"
            )
        return await carry_out(
            context,
            session,
            plan,
            observed,
            yes=True,
            parallel=4,
            options=Options(),
            verify=False,
        )


async def _list(context: Context, guests: list[str]) -> int:
    from phoenix_hypervisor.app import told, undo

    async with context.session() as session:
        context.warnings(session.warnings)
        found, untold = await undo.listed(session, guests)
        if context.json:
            context.document(told.snapshots(session.desired, found, untold))
        else:
            context.out.print(_table(session, found))
            for why in untold.values():
                context.say(f"[yellow]note:[/] {escape(why)}")
    return EXIT_FAILED if untold and guests else 0


def _table(session: "Session", found: "Listed") -> Table:
    shown = Table(box=None, pad_edge=False)
    for column in ("guest", "name", "snapshot", "taken", "", ""):
        shown.add_column(column, header_style="bold")
    now = datetime.now().astimezone()
    for address, taken in found.items():
        name = cell(session.desired.guests[address].name)
        template = session.desired.guests[address].snapshot_name
        for one in taken:
            when = one.taken.astimezone() if one.taken else None
            told = remarks(one, template=template, stack=session.desired.stack)
            shown.add_row(
                address,
                name,
                cell(one.name),
                f"{when:%Y-%m-%d %H:%M}" if when else "",
                f"[dim]{age(when, now)}[/]" if when else "",
                f"[dim]{told}[/]",
            )
        if not taken:
            shown.add_row(address, name, "[dim]none[/]", "", "", "")
    return shown
