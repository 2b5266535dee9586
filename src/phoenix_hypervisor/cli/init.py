"""`phoenix init`: writes a starter folder that can be applied as it is."""

import hashlib
import shlex
import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli import _schemas
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.config.desire import stack_name
from phoenix_hypervisor.model.errors import UsageError

SETTINGS = {"epilog": "Example: phoenix init ~/phoenix && phoenix --dir ~/phoenix validate"}
_IGNORED = ".phoenix-secrets.env*\n.phoenix/\n"


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
    try:
        _write(target)
    except OSError as error:
        reason = error.strerror or "not all of it could be copied"
        raise UsageError(
            f"no folder can be made at {target}: {reason.lower()}", hint="choose another place"
        ) from None
    if context.json:
        context.document({"format": 1, "folder": str(target.resolve())})
    context.print(f"wrote a starter folder to [bold]{target}[/]")
    program = f"phoenix --dir {shlex.quote(str(target))}"
    context.print(f"next: {escape(program)} validate; {escape(program)} plan")


def _write(target: Path) -> None:
    with resources.as_file(resources.files("phoenix_hypervisor.cli") / "starter") as starter:
        shutil.copytree(starter, target, dirs_exist_ok=True)
    for path in target.glob("phoenix_*.json"):
        path.write_text(_of_its_own(path.read_text(), target.resolve()))
    _schemas.write(target / "schemas")
    ignore = target / ".gitignore"
    if not ignore.exists():
        ignore.write_text(_IGNORED)


def _of_its_own(text: str, folder: Path) -> str:
    """Two starter folders on one machine share no stack, pool, bridge or subnet."""
    number = int(hashlib.sha256(str(folder).encode()).hexdigest()[:6], 16)
    stack = stack_name(folder.name)
    for old, new in (
        ('"stack": "starter"', f'"stack": "{stack}"'),
        ("phoenix-starter", f"phoenix-{number:06x}"),
        ("phxstart0", f"phx{number:06x}"),
        ("10.98.80.", f"10.98.{100 + number % 150}."),
    ):
        text = text.replace(old, new)
    return text
