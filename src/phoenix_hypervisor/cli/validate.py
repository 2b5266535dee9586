"""`phoenix validate`: reads and checks the files, offline."""

import os

import typer

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context

SETTINGS = {"epilog": "Example: phoenix --dir ~/phoenix validate"}


def validate(ctx: typer.Context) -> None:
    """Reads and checks the files, offline; tells every problem of every file at once."""
    from phoenix_hypervisor import app

    context: Context = ctx.obj
    loaded = app.judge(context.folder, context.on, os.environ)
    context.problems(loaded.problems)
    if loaded.desired is None:
        raise typer.Exit(EXIT_FAILED)
    count = len(loaded.desired.guests)
    context.print(f"[green]ok[/]: {count} guest{'s' * (count != 1)}")
