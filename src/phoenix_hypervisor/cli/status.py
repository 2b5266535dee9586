"""`phoenix status`: every guest as it is now."""

import asyncio
from typing import Annotated

import typer
from rich.live import Live

from phoenix_hypervisor.cli import _health
from phoenix_hypervisor.cli._context import Context

SETTINGS = {"epilog": "Examples: phoenix status · phoenix status --watch · phoenix --json status"}
_PAUSE_S = 2.0


def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again.")] = False,
) -> None:
    """Shows every guest: state, health and addresses. Its checks are asked now."""
    context: Context = ctx.obj
    context.run(_watch(context) if watch else _once(context))


async def _once(context: Context) -> None:
    async with context.session() as session:
        guests, real = await session.health(), session.driver.has_inside
    if context.json:
        context.document(_health.as_json(guests, real=real))
    else:
        context.out.print(_health.table(guests, with_checks=False))
        if not real:
            context.print(_health.SIMULATED)


async def _watch(context: Context) -> None:
    async with context.session() as session:
        real = session.driver.has_inside
        if not real:
            context.print(_health.SIMULATED)
        with Live(console=context.out, auto_refresh=False) as live:
            while True:
                guests = await session.health()
                if context.json:
                    context.document(_health.as_json(guests, real=real))
                else:
                    live.update(_health.table(guests, with_checks=False), refresh=True)
                await asyncio.sleep(_PAUSE_S)
