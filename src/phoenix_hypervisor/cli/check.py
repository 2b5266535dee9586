"""`phoenix check`: asks the checks now."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli import _health
from phoenix_hypervisor.cli._context import EXIT_FAILED, Context

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Health

SETTINGS = {"epilog": "Examples: phoenix check · phoenix check web"}


def check(
    ctx: typer.Context,
    guests: Annotated[list[str] | None, typer.Argument(help="Addresses, ids or names.")] = None,
) -> None:
    """Runs the checks now, once; exits with 1 if one fails or a guest that should run doesn't."""
    context: Context = ctx.obj
    raise typer.Exit(context.run(_check(context, guests or [])))


async def _check(context: Context, words: list[str]) -> int:
    async with context.session() as session:
        found = await session.health(session.resolve(words))
        real = session.driver.has_inside
        down = [h for h in found if session.desired.guests[h.address].runs and not _up(h)]
    if context.json:
        from phoenix_hypervisor.app import told

        context.document(told.health(found, real=real))
    else:
        context.out.print(_health.shown(found, with_checks=True))
        if not real:
            context.print(_health.SIMULATED)
        for health in down:
            why = f": {escape(health.hidden)}" if health.hidden else ""
            context.say(f"[red]{health.address} is {health.state}[/]{why}")
    failed = down or any(health.healthy is False for health in found)
    return EXIT_FAILED if failed else 0


def _up(health: "Health") -> bool:
    return health.managed and health.state == "running"
