"""`phoenix destroy`: removes managed guests, or everything of the stack."""

from typing import Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._held import held
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

SETTINGS = {"epilog": "Examples: phoenix destroy web · phoenix destroy --all --yes"}


def destroy(
    ctx: typer.Context,
    guests: Annotated[list[str] | None, typer.Argument(help="Addresses, ids or names.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything of the stack, its pools and bridges too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Steps at once.")] = 4,
) -> None:
    """Removes managed guests; never protected ones, and never what somebody else made."""
    if bool(guests) == everything:
        raise UsageError("name the guests to destroy, or give --all (and not both)")
    context: Context = ctx.obj
    status = context.run(_destroy(context, guests or [], yes=yes, parallel=parallel))
    raise typer.Exit(status)


async def _destroy(context: Context, guests: list[str], *, yes: bool, parallel: int) -> int:
    from phoenix_hypervisor.cli._carry_out import carry_out
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session, held(context, session, "phoenix destroy"):
        plan, observed = await session.plan_destroy(guests or None)
        if plan.refusals:
            raise PhoenixError(
                "this can't be destroyed:\n  " + "\n  ".join(plan.refusals),
                hint="nothing was changed",
            )
        if not plan.changes and not context.json:
            said = plan.notes or [f"nothing of the stack {session.desired.stack} is there"]
            context.print("\n".join(escape(line) for line in said))
            return 0
        return await carry_out(
            context,
            session,
            plan,
            observed,
            yes=yes,
            parallel=parallel,
            options=Options(),
            verify=False,
        )
