"""`phoenix schema`: writes the JSON Schemas, so that editors complete and check while one types."""

import json
from pathlib import Path
from typing import Annotated

import typer

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
    found = schemas(app.vocabulary())
    if out is None:
        context.document(found)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, content in found.items():
        (out / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        context.print(f"wrote {out / name}")
