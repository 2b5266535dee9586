"""`phoenix init`: writes a starter folder that can be applied as it is."""

import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from phoenix_hypervisor.cli import _schemas
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import UsageError

SETTINGS = {"epilog": "Example: phoenix init ~/phoenix && phoenix --dir ~/phoenix validate"}
_IGNORED = ".phoenix-secrets.env\n.phoenix/\n"


def init(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="Where to; else the folder of --dir.")
    ] = None,
) -> None:
    """Writes a starter folder: the files with `$schema` set and comments, and their schemas."""
    context: Context = ctx.obj
    target = folder or context.folder
    there = [path.name for path in target.glob("phoenix_*.json")] if target.is_dir() else []
    if there:
        raise UsageError(
            f"{target} already has {', '.join(sorted(there))}: nothing was written",
            hint="choose another folder",
        )
    with resources.as_file(resources.files("phoenix_hypervisor.cli") / "starter") as starter:
        shutil.copytree(starter, target, dirs_exist_ok=True)
    _schemas.write(target / "schemas")
    ignore = target / ".gitignore"
    if not ignore.exists():
        ignore.write_text(_IGNORED)
    if context.json:
        context.document({"format": 1, "folder": str(target.resolve())})
    context.print(f"wrote a starter folder to [bold]{target}[/]")
    context.print(f"next: phoenix --dir {target} validate; phoenix --dir {target} plan")
