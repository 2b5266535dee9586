"""`phoenix adopt`: takes guests over that nobody manages, and changes nothing else of them."""

from typing import Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._held import held
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

SETTINGS = {
    "epilog": "Examples: phoenix adopt web · phoenix adopt --all · "
    "phoenix adopt lxc/101 --configured --yes"
}


def adopt(
    ctx: typer.Context,
    guests: Annotated[list[str] | None, typer.Argument(help="Addresses, ids or names.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All guests of the files that nobody manages yet.")
    ] = False,
    configured: Annotated[
        bool,
        typer.Option(
            "--configured",
            help="Take the inside as being as the files say: features are not run.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Marks guests of the files, made by somebody else, as managed; changes nothing else of them.

    What the next apply would then change is told beside the plan.
    """
    if bool(guests) == everything:
        raise UsageError("name the guests to take over, or give --all (and not both)")
    context: Context = ctx.obj
    raise typer.Exit(context.run(_adopt(context, guests or [], configured=configured, yes=yes)))


async def _adopt(context: Context, guests: list[str], *, configured: bool, yes: bool) -> int:
    from phoenix_hypervisor.cli._carry_out import carry_out
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session, held(context, session, "phoenix adopt"):
        context.warnings(session.warnings)
        plan, observed = await session.plan_adopt(guests, configured=configured)
        if plan.refusals:
            raise PhoenixError(
                "these can't be taken over:\n  " + "\n  ".join(plan.refusals),
                hint="nothing was changed",
            )
        if not plan.changes and not context.json:
            said = plan.notes or ["there is none that nobody manages"]
            context.print("\n".join(escape(line) for line in said))
            return 0
        return await carry_out(
            context,
            session,
            plan,
            observed,
            yes=yes,
            parallel=4,
            options=Options(),
            verify=False,
        )
