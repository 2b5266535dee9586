"""`phoenix apply`: applies the plan that it shows, then verifies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._held import held
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.plan import Plan

if TYPE_CHECKING:
    from phoenix_hypervisor.plan.options import Options

SETTINGS = {
    "epilog": "Examples: phoenix apply · phoenix apply --yes · phoenix apply --target web · "
    "phoenix apply --allow-destructive 101"
}


def apply(
    ctx: typer.Context,
    target: Annotated[
        list[str] | None, typer.Option(help="Only this guest and what it needs; may repeat.")
    ] = None,
    saved: Annotated[
        Path | None, typer.Option("--plan", help="Apply exactly this saved plan.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    allow_destructive: Annotated[
        list[str] | None,
        typer.Option(help="This guest may lose data in this apply; may repeat."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete what the files no longer name.")
    ] = False,
    reconfigure: Annotated[
        list[str] | None, typer.Option(help="Run all features of this guest again; may repeat.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Steps at once.")] = 4,
) -> None:
    """Applies the plan that it shows, then verifies; run again, it mends what was interrupted."""
    context: Context = ctx.obj
    if saved is not None and (target or prune or reconfigure):
        raise UsageError("--plan applies exactly the saved plan: it takes no other choice of what")
    from phoenix_hypervisor.cli import _saved

    asked = _Asked(target or [], reconfigure or [], prune=prune)
    kept = _saved.read(saved) if saved else None
    status = context.run(
        _apply(context, asked, kept, allow_destructive or [], yes=yes, parallel=parallel)
    )
    raise typer.Exit(status)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be planned, in the words of the command line."""

    targets: Sequence[str]
    reconfigure: Sequence[str]
    prune: bool


async def _apply(
    context: Context,
    asked: _Asked,
    kept: "tuple[Plan, Options] | None",
    allow: Sequence[str],
    *,
    yes: bool,
    parallel: int,
) -> int:
    """`kept` is a saved plan: then `asked` asks for nothing."""
    from phoenix_hypervisor.app.refusing import allowed, refuse
    from phoenix_hypervisor.cli._carry_out import carry_out

    async with context.session() as session, held(context, session, "phoenix apply"):
        context.warnings(session.warnings)
        if kept is None:
            options = await session.options(asked.targets, asked.reconfigure, prune=asked.prune)
            plan, observed = await session.plan(options)
        else:
            saved, options = kept
            plan, observed = await session.renew(saved, options)
        refuse(plan, allowed(session, plan, options, allow))
        return await carry_out(
            context,
            session,
            plan,
            observed,
            yes=yes or kept is not None,
            parallel=parallel,
            options=options,
        )
