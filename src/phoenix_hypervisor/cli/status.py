"""`phoenix status`: every guest as it is now."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live

from phoenix_hypervisor.cli import _gpus, _health
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._text import cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from phoenix_hypervisor.app import Health, Session
    from phoenix_hypervisor.model.address import Address

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
    """Shows every guest: state, health and addresses. Its checks are asked now.

    Where `phoenix watch` runs, also how long ago that asked each, and what it has told: of
    maintenance, alerts, and guests that are not healed.
    """
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
    from phoenix_hypervisor.app import told
    from phoenix_hypervisor.app.watching import ages, remarks

    document = told.health(guests, real=session.driver.has_inside)
    ages.add(document, session.desired.folder)
    remarks.add(document, session.desired)
    return document | ({"gpus": _gpus.as_json(session.gpus())} if gpus else {})


def _shown(session: "Session", guests: list["Health"], *, gpus: bool) -> Group:
    table = _health.shown(guests, with_checks=False, ages=_ages(session))
    beside = list(_remarks(session))
    if not gpus:
        return Group(table, *beside)
    return Group(table, *beside, "", _gpus.table(session.gpus()))


def _remarks(session: "Session") -> "Iterator[str]":
    from phoenix_hypervisor.app.watching.remarks import remarks

    for one in remarks(session.desired):
        colour = "bold red" if one.kind in ("page", "gave-up") else "yellow"
        yield f"[{colour}]{one.kind}[/] {cell(one.text)}"


def _ages(session: "Session") -> "Mapping[Address, float] | None":
    from phoenix_hypervisor.app.watching.ages import ages

    return ages(session.desired.folder)
