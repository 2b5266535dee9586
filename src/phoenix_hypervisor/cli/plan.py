"""`phoenix plan`: shows what would change, why, its impact, and about how long it takes."""

import json
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
    from phoenix_hypervisor.plan import as_json, render
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session:
        context.warnings(session.warnings)
        options = Options(
            targets=session.resolve(target), prune=prune, reconfigure=session.resolve(reconfigure)
        )
        found, _ = await session.plan(options)
    document = as_json.dump(found)
    if context.json:
        context.document(document)
    context.print(render.text(found))
    if out is not None:
        saved = document | {"options": {"targets": sorted(options.targets), "prune": prune}}
        saved["options"]["reconfigure"] = sorted(options.reconfigure)
        out.write_text(json.dumps(saved, indent=1) + "\n")
        context.print(f"saved to {out}; `phoenix apply --plan {out}` applies exactly this")
    if found.refusals:
        return EXIT_FAILED
    return EXIT_PENDING if found.changes else 0
