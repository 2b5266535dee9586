"""`phoenix shell`: an interactive shell in a guest."""

import os
import sys
from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._inside import running
from phoenix_hypervisor.model.errors import UsageError

SETTINGS = {"epilog": "Example: phoenix shell db"}


def shell(
    ctx: typer.Context,
    guest: Annotated[str, typer.Argument(help="An address, id or name.")],
) -> None:
    """Opens an interactive shell as root in a guest."""
    context: Context = ctx.obj
    if not sys.stdin.isatty():
        raise UsageError(
            "a shell needs a terminal", hint="for one command: phoenix exec GUEST -- …"
        )
    argv = context.run(_argv(context, guest))
    # This process becomes the shell's client: terminal, signals and exit status are the shell's.
    os.execvp(argv[0], argv)  # noqa: S606


async def _argv(context: Context, word: str) -> list[str]:
    async with context.session() as session:
        return list(await session.driver.terminal(await running(session, word)))
