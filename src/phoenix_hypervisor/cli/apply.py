"""`phoenix apply`: applies the plan that it shows, then verifies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.errors import PhoenixError, UsageError
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
    from phoenix_hypervisor.cli._carry_out import carry_out

    async with context.session() as session, session.hold("phoenix apply"):
        context.warnings(session.warnings)
        if kept is None:
            options = await session.options(asked.targets, asked.reconfigure, prune=asked.prune)
            plan, observed = await session.plan(options)
        else:
            saved, options = kept
            plan, observed = await session.renew(saved, options)
        allowed = session.resolve(allow)
        if options.prune:  # named on the command line by --prune itself
            allowed |= {c.address for c in plan.changes if c.action.value == "delete"}
        refuse(plan, allowed)
        return await carry_out(
            context,
            session,
            plan,
            observed,
            yes=yes or kept is not None,
            parallel=parallel,
            options=options,
        )


def refuse(plan: Plan, allowed: frozenset[Address]) -> None:
    """Raises where the plan can't be applied, or would destroy what was not named."""
    if plan.refusals:
        raise PhoenixError(
            "the plan can't be applied:\n  " + "\n  ".join(plan.refusals),
            hint="nothing was changed",
        )
    unnamed = [
        change
        for change in plan.changes
        if change.impact is Impact.DESTRUCTIVE and change.address not in allowed
    ]
    if unnamed:
        lines = [f"{change.address}: {change.reason}" for change in unnamed]
        flags = " ".join(f"--allow-destructive {change.address}" for change in unnamed)
        raise PhoenixError(
            "these changes destroy data and were not named:\n  " + "\n  ".join(lines),
            hint=f"nothing was changed; if that is what you want: phoenix apply {flags}",
        )
