"""`phoenix logs`: what a guest's services say."""

import shlex
from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.cli._inside import present, running
from phoenix_hypervisor.cli._text import plain

SETTINGS = {"epilog": "Examples: phoenix logs api · phoenix logs db --unit postgresql -n 200"}
_LIMIT_S = 60.0
_FOREVER_S = 86_400.0


def logs(
    ctx: typer.Context,
    guest: Annotated[str, typer.Argument(help="An address, id or name.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines.")] = 100,
    unit: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more comes.")] = False,
) -> None:
    """Shows a guest's journal; of a guest that doesn't run, its console."""
    context: Context = ctx.obj
    raise typer.Exit(context.run(_logs(context, guest, lines, unit, follow)))


async def _logs(context: Context, word: str, lines: int, unit: str | None, follow: bool) -> int:
    import asyncio

    from phoenix_hypervisor.shell import Shell

    async with context.session() as session:
        if (seen := await present(session, word)).state == "stopped":
            typer.echo(plain(await session.driver.console(seen.address, lines)))
            return 0
        address = await running(session, word)
        chosen = f" --unit={shlex.quote(unit)}" if unit else ""
        script = f"exec journalctl --no-pager --lines={lines}{chosen}{' --follow' * follow}"
        with Shell(await session.driver.way_in(address), name=address) as shell:
            answer = await asyncio.to_thread(
                shell.run,
                script,
                timeout_s=_FOREVER_S if follow else _LIMIT_S,
                on_line=lambda _, line: typer.echo(plain(line.decode(errors="replace"))),
                keep=0,
            )
    return 0 if answer.ok else EXIT_FAILED
