"""`phoenix status`: every guest as it is now."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live

from phoenix_hypervisor.cli import _gpus, _health
from phoenix_hypervisor.cli._context import Context

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Health, Session

SETTINGS = {
    "epilog": "Examples: phoenix status · phoenix status --watch · phoenix status --gpus · "
    "phoenix --json status"
}
_PAUSE_S = 2.0


def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again.")] = False,
    gpus: Annotated[
        bool, typer.Option("--gpus", help="Also who has which graphics card, and how much of it.")
    ] = False,
) -> None:
    """Shows every guest: state, health and addresses. Its checks are asked now."""
    context: Context = ctx.obj
    context.run(_watch(context, gpus=gpus) if watch else _once(context, gpus=gpus))


async def _once(context: Context, *, gpus: bool) -> None:
    async with context.session() as session:
        guests, real = await session.health(), session.driver.has_inside
        if context.json:
            context.document(_document(session, guests, gpus=gpus))
        else:
            context.out.print(_shown(session, guests, gpus=gpus))
            if not real:
                context.print(_health.SIMULATED)


async def _watch(context: Context, *, gpus: bool) -> None:
    async with context.session() as session:
        if not session.driver.has_inside:
            context.print(_health.SIMULATED)
        with Live(console=context.out, auto_refresh=False) as live:
            while True:
                guests = await session.health()
                if context.json:
                    context.document(_document(session, guests, gpus=gpus))
                else:
                    live.update(_shown(session, guests, gpus=gpus), refresh=True)
                await asyncio.sleep(_PAUSE_S)


def _document(session: "Session", guests: list["Health"], *, gpus: bool) -> dict[str, Any]:
    document = _health.as_json(guests, real=session.driver.has_inside)
    return document | ({"gpus": _gpus.as_json(session.gpus())} if gpus else {})


def _shown(session: "Session", guests: list["Health"], *, gpus: bool) -> Group:
    parts = [_health.table(guests, with_checks=False)]
    return Group(*parts, "", _gpus.table(session.gpus())) if gpus else Group(*parts)
