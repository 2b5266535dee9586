"""`phoenix schema`: writes the JSON Schemas, so that editors complete and check while one types."""

from pathlib import Path
from typing import Annotated

import typer

from phoenix_hypervisor.cli import _schemas
from phoenix_hypervisor.cli._context import Context

SETTINGS = {"epilog": "Example: phoenix schema --out schemas/"}


def schema(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="A folder to write them to; else to standard output.")
    ] = None,
) -> None:
    """Writes the JSON Schemas of the files, for editors."""
    from phoenix_hypervisor import app
    from phoenix_hypervisor.config.schema import schemas

    context: Context = ctx.obj
    if out is None:
        context.document(schemas(app.vocabulary()))
        return
    for path in _schemas.write(out):
        context.print(f"wrote {path}")
