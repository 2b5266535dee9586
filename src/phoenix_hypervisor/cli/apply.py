"""`phoenix apply`: applies the plan that it shows, then verifies."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Impact
from phoenix_hypervisor.model.errors import PhoenixError, UsageError
from phoenix_hypervisor.model.plan import Plan

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
    wanted = {"targets": target or [], "prune": prune, "reconfigure": reconfigure or []}
    document = _read(saved) if saved else None
    if document is not None:
        wanted = document.get("options", wanted)
    status = context.run(
        _apply(context, wanted, document, allow_destructive or [], yes=yes, parallel=parallel)
    )
    raise typer.Exit(status)


async def _apply(
    context: Context,
    wanted: dict[str, Any],
    document: Any,
    allow: list[str],
    *,
    yes: bool,
    parallel: int,
) -> int:
    from phoenix_hypervisor.cli._carry_out import carry_out
    from phoenix_hypervisor.plan import as_json
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session, session.hold("phoenix apply"):
        context.warnings(session.warnings)
        options = Options(
            targets=session.resolve(wanted["targets"]),
            prune=bool(wanted["prune"]),
            reconfigure=session.resolve(wanted["reconfigure"]),
        )
        if document is None:
            plan, observed = await session.plan(options)
        else:
            plan, observed = await session.renew(as_json.load(document), options)
        allowed = session.resolve(allow)
        if options.prune:  # named on the command line by --prune itself
            allowed |= {c.address for c in plan.changes if c.action.value == "delete"}
        refuse(plan, allowed)
        return await carry_out(
            context,
            session,
            plan,
            observed,
            yes=yes or document is not None,
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


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"can't read the plan {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no saved plan: {error}") from error
