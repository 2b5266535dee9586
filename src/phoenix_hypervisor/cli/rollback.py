"""`phoenix rollback`: brings a guest back to a snapshot, after saying what gets lost."""

from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._held import held
from phoenix_hypervisor.model.errors import PhoenixError

SETTINGS = {
    "epilog": "Examples: phoenix rollback web before-upgrade · "
    "phoenix snapshot web --list · phoenix rollback 101 before-upgrade --yes && phoenix plan"
}


def rollback(
    ctx: typer.Context,
    guest: Annotated[str, typer.Argument(help="An address, an id or a name.")],
    name: Annotated[str, typer.Argument(help="The snapshot; `phoenix snapshot --list` has all.")],
    protected: Annotated[
        bool, typer.Option("--protected", help="Also a guest that is protected.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Brings a guest back to a snapshot; what it holds since then is lost.

    It is stopped for that and started again where it ran. `phoenix plan` then shows what of it is
    older than the files, and `phoenix apply` makes that good.
    """
    context: Context = ctx.obj
    raise typer.Exit(context.run(_rollback(context, guest, name, protected=protected, yes=yes)))


async def _rollback(context: Context, guest: str, name: str, *, protected: bool, yes: bool) -> int:
    from phoenix_hypervisor.app import undo
    from phoenix_hypervisor.cli._carry_out import carry_out
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session, held(context, session, "phoenix rollback"):
        context.warnings(session.warnings)
        plan, observed = await undo.plan_rollback(session, guest, name, protected=protected)
        if plan.refusals:
            raise PhoenixError(
                "this can't be gone back to:\n  " + "\n  ".join(plan.refusals),
                hint="nothing was changed",
            )
        status = await carry_out(
            context,
            session,
            plan,
            observed,
            yes=yes,
            parallel=1,
            options=Options(),
            verify=False,
            question="Go back, and lose that?",
        )
    if not status:
        context.print("`phoenix plan` shows what is older than the files; `phoenix apply` mends it")
    return status
