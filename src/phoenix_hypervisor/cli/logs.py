"""`phoenix logs`: what a guest's services say."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.cli._inside import present, running
from phoenix_hypervisor.cli._text import plain
from phoenix_hypervisor.shell.shell import LONGEST_LINE

if TYPE_CHECKING:
    from phoenix_hypervisor.model.redact import Redactor

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


class _Show:
    """Shows lines without secrets; a very long one comes in parts, and a secret may be cut so."""

    def __init__(self, hide: "Redactor") -> None:
        self._hide = hide
        self._before = ""

    def __call__(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        typer.echo(plain(self._hide(text, self._before)))
        self._before = text if len(line) > LONGEST_LINE else ""


async def _logs(context: Context, word: str, lines: int, unit: str | None, follow: bool) -> int:
    import asyncio

    from phoenix_hypervisor.shell import Shell

    async with context.session() as session:
        if (seen := await present(session, word)).state == "stopped":
            hide = session.hiding(seen.address)
            typer.echo(plain(hide(await session.driver.console(seen.address, lines))))
            return 0
        address = await running(session, word)
        chosen = f" --unit={shlex.quote(unit)}" if unit else ""
        script = f"exec journalctl --no-pager --lines={lines}{chosen}{' --follow' * follow}"
        show = _Show(session.hiding(address))
        with Shell(await session.driver.way_in(address), name=address) as shell:
            answer = await asyncio.to_thread(
                shell.run,
                script,
                timeout_s=_FOREVER_S if follow else _LIMIT_S,
                on_line=lambda _, line: show(line),
                keep=0,
            )
    return 0 if answer.ok else EXIT_FAILED
