"""`phoenix plan`: shows what would change, why, its impact, and about how long it takes."""

from pathlib import Path
from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import EXIT_FAILED, EXIT_PENDING, Context

SETTINGS = {
    "epilog": "Examples: phoenix plan · phoenix plan --target 101 · "
    "phoenix plan --out change.plan && phoenix apply --plan change.plan"
}


def plan(
    ctx: typer.Context,
    target: Annotated[
        list[str] | None, typer.Option(help="Only this guest and what it needs; may repeat.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the plan, to be applied later.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete what the files no longer name.")
    ] = False,
    reconfigure: Annotated[
        list[str] | None, typer.Option(help="Run all features of this guest again; may repeat.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if changes are pending.")
    ] = False,
) -> None:
    """Shows what would change, and changes nothing."""
    context: Context = ctx.obj
    status = context.run(_plan(context, target or [], reconfigure or [], prune, out))
    if status == EXIT_PENDING and not detailed_exitcode:
        return
    raise typer.Exit(status)


async def _plan(
    context: Context, target: list[str], reconfigure: list[str], prune: bool, out: Path | None
) -> int:
    from rich.markup import escape

    from phoenix_hypervisor.app import told
    from phoenix_hypervisor.app.past import Past
    from phoenix_hypervisor.cli import _saved
    from phoenix_hypervisor.plan import render

    async with context.session() as session:
        context.warnings(session.warnings)
        options = await session.options(target, reconfigure, prune=prune)
        found, _ = await session.plan(options)
        past = Past(session)
        found = past.estimated(found)
    if past.trouble:
        context.say(f"[yellow]warning:[/] the history can't be read: {escape(past.trouble)}")
    if context.json:
        context.document(told.plan(found, options))
    context.print(render.text(found))
    if out is not None:
        _saved.write(out, found, options)
        context.print(f"saved to {out}; `phoenix apply --plan {out}` applies exactly this")
    if found.refusals:
        return EXIT_FAILED
    return EXIT_PENDING if found.changes else 0
