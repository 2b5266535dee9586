"""`phoenix backup`: takes backups, lists them, and proves that they restore."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context

if TYPE_CHECKING:
    from phoenix_hypervisor.app.backups import Made, Proof
    from phoenix_hypervisor.model.backup import Backup

backup = typer.Typer(
    help="Takes backups, lists them, and proves that they restore.",
    epilog="Examples: phoenix backup run · phoenix backup list db · phoenix backup verify db",
    no_args_is_help=True,
    add_completion=False,
)

Guests = Annotated[list[str] | None, typer.Argument(help="Addresses, ids or names.")]
_MIB = 1024**2


@backup.command(
    "run",
    epilog="Examples: phoenix backup run · phoenix backup run db · phoenix backup run --job x",
)
def run(
    ctx: typer.Context,
    guests: Guests = None,
    job: Annotated[str | None, typer.Option(help="Only this job of the files.")] = None,
) -> None:
    """Takes the backups of the files' jobs now, and drops what they no longer keep."""
    context: Context = ctx.obj
    raise typer.Exit(context.run(_run(context, guests or [], job)))


@backup.command("list", epilog="Examples: phoenix backup list · phoenix backup list db")
def list_(ctx: typer.Context, guests: Guests = None) -> None:
    """Lists the backups that are there."""
    context: Context = ctx.obj
    context.run(_list(context, guests or []))


@backup.command("verify", epilog="Examples: phoenix backup verify · phoenix backup verify db")
def verify(ctx: typer.Context, guests: Guests = None) -> None:
    """Restores the newest backup as a spare guest that is cut off, asks its checks, removes it.

    The guest itself is not touched. Exits with 1 if a backup did not prove itself.
    """
    context: Context = ctx.obj
    raise typer.Exit(context.run(_verify(context, guests or [])))


async def _run(context: Context, guests: list[str], job: str | None) -> int:
    from phoenix_hypervisor.app import backups

    made: list[Made] = []
    async with context.session() as session:
        context.warnings(session.warnings)
        work = backups.todo(session, guests, job)
        async with session.hold("phoenix backup run"):
            async for one in backups.run(session, work, _teller(context)):
                made.append(one)
                _show_made(context, one)
    failed = [one for one in made if one.failed]
    if context.json:
        told = [
            {
                "address": one.guest.address,
                "name": one.guest.name,
                "job": one.job,
                "ok": one.failed is None,
                "backup": _as_json(one.backup) if one.backup else None,
                "dropped": one.dropped,
                "problem": one.failed.message if one.failed else "",
            }
            for one in made
        ]
        context.document({"format": 1, "ok": not failed, "backups": told})
    elif not made:
        context.print("there is nothing to back up")
    return EXIT_FAILED if failed else 0


async def _list(context: Context, guests: list[str]) -> None:
    from phoenix_hypervisor.app import backups

    async with context.session() as session:
        context.warnings(session.warnings)
        found = await backups.listed(session, guests)
    if context.json:
        context.document({"format": 1, "backups": [_as_json(one) for one in found]})
        return
    from rich.table import Table

    from phoenix_hypervisor.cli._text import cell

    table = Table(box=None, pad_edge=False)
    for column in ("guest", "taken", "MiB", "where"):
        table.add_column(column, header_style="bold")
    for one in found:
        size = "" if one.size is None else f"{one.size / _MIB:.0f}"
        table.add_row(one.guest, f"{one.taken.astimezone():%Y-%m-%d %H:%M}", size, cell(one.id))
    context.out.print(table)


async def _verify(context: Context, guests: list[str]) -> int:
    from phoenix_hypervisor.app import backups

    proofs: list[Proof] = []
    async with context.session() as session, session.hold("phoenix backup verify"):
        context.warnings(session.warnings)
        async for one in backups.prove(session, guests, _teller(context)):
            proofs.append(one)
            _show_proof(context, one)
    ok = bool(proofs) and all(one.ok for one in proofs)
    if context.json:
        context.document({"format": 1, "ok": ok, "guests": [_proof_as_json(one) for one in proofs]})
    elif not proofs:
        context.say("[yellow]note:[/] there is no backup; `phoenix backup run` takes one")
    return 0 if ok else EXIT_FAILED


def _teller(context: Context) -> Any:
    return lambda words: context.say(f"[dim]{escape(words)}[/]")


def _show_made(context: Context, one: "Made") -> None:
    if one.backup is None:
        if one.failed is not None:
            context.say(f"[red]✗[/] {one.guest.address}: {escape(one.failed.message)}")
            if one.failed.hint:
                context.say(f"[bold]hint:[/] {escape(one.failed.hint)}")
        return
    size = "" if one.backup.size is None else f" ({one.backup.size / _MIB:.0f} MiB)"
    gone = f", {one.dropped} older dropped" if one.dropped else ""
    context.print(
        f"[green]✓[/] {one.guest.address} {escape(one.guest.name)}: "
        f"{escape(one.backup.id)}{size}{gone}"
    )


def _show_proof(context: Context, one: "Proof") -> None:
    sign = "[green]✓[/]" if one.ok else "[bold red]✗[/]"
    of = f" the backup of {one.backup.taken.astimezone():%Y-%m-%d %H:%M}" if one.backup else ""
    words = "restores" if one.ok else "did not prove itself"
    if one.ok and not one.answers:
        words = "restores and starts; no check could be asked"
    context.print(f"{sign} {one.guest.address} {escape(one.guest.name)}:{of} {words}")
    for check, outcome in one.answers:
        mark = "[green]✓[/]" if outcome.ok else "[red]✗[/]"
        context.print(f"    {mark} {escape(check.title)}: {escape(outcome.message)}")
    for check, why in one.left_out:
        context.print(f"    [dim]- {escape(check.title)}: not asked, {escape(why)}[/]")
    for error in (one.failed, one.left):
        if error is not None:
            context.say(f"    [red]{escape(error.message)}[/]")
            if error.detail:
                context.say(f"[dim]{escape(error.detail)}[/]")
            if error.hint:
                context.say(f"    [bold]hint:[/] {escape(error.hint)}")


def _as_json(one: "Backup") -> dict[str, object]:
    return {
        "address": one.guest,
        "id": one.id,
        "taken": one.taken.isoformat(),
        "place": one.place,
        "size": one.size,
        "protected": one.protected,
    }


def _proof_as_json(one: "Proof") -> dict[str, object]:
    return {
        "address": one.guest.address,
        "name": one.guest.name,
        "ok": one.ok,
        "backup": _as_json(one.backup) if one.backup else None,
        "spare": one.spare,
        "checks": [
            {
                "name": check.title,
                "kind": check.kind,
                "ok": outcome.ok,
                "message": outcome.message,
            }
            for check, outcome in one.answers
        ],
        "not_asked": [{"name": check.title, "why": why} for check, why in one.left_out],
        "problem": one.failed.message if one.failed else "",
        "left_behind": one.left.message if one.left else "",
    }
