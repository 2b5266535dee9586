"""`phoenix graph`: the guests and what they need, or the plan, as a picture."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.model.errors import UsageError

if TYPE_CHECKING:
    from phoenix_hypervisor.plan.picture.graph import Graph

SETTINGS = {
    "epilog": "Examples: phoenix graph --out stack.svg · phoenix graph --format mermaid · "
    "phoenix graph --plan --out plan.svg"
}
_FORMATS = ("svg", "mermaid")


def graph(
    ctx: typer.Context,
    form: Annotated[
        str | None,
        typer.Option("--format", help="svg or mermaid; default: as FILE's name says, else svg."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file, not to standard output.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="The pending changes, coloured by what they cost.")
    ] = False,
) -> None:
    """Draws the guests with their sources, dependencies, routes, volumes and networks.

    Without --plan it reads the files only, and asks no target. With --json the document holds
    the nodes and edges.
    """
    context: Context = ctx.obj
    chosen = _format(form, out)
    if not plan:
        _give(context, _of_files(context), chosen, out)
        return
    found, refusals = context.run(_planned(context))
    _give(context, found, chosen, out)
    for refusal in refusals:
        context.say(f"[bold red]refused:[/] {escape(refusal)}")
    if refusals:
        raise typer.Exit(EXIT_FAILED)


def _format(form: str | None, out: Path | None) -> str:
    if form is None:
        named = out is not None and out.suffix in (".mmd", ".mermaid", ".md")
        return "mermaid" if named else "svg"
    if form not in _FORMATS:
        raise UsageError(f"--format {form} is not one of {', '.join(_FORMATS)}")
    return form


def _of_files(context: Context) -> "Graph":
    from phoenix_hypervisor import app
    from phoenix_hypervisor.plan.picture.of_files import of_files

    loaded = app.read(context.folder, context.on, os.environ)
    if loaded.desired is None:
        context.problems(loaded.problems)
        raise typer.Exit(EXIT_FAILED)
    context.warnings(loaded.problems)
    return of_files(loaded.desired)


async def _planned(context: Context) -> "tuple[Graph, Sequence[str]]":
    """The picture of the plan, and why that can't be applied."""
    from phoenix_hypervisor.app.past import Past
    from phoenix_hypervisor.plan.options import Options
    from phoenix_hypervisor.plan.picture.of_plan import of_plan

    async with context.session() as session:
        context.warnings(session.warnings)
        found, _ = await session.plan(Options())
        found = Past(session).estimated(found)
    return of_plan(found), found.refusals


def _give(context: Context, found: "Graph", form: str, out: Path | None) -> None:
    from phoenix_hypervisor.plan.picture import as_json
    from phoenix_hypervisor.plan.picture.mermaid import mermaid
    from phoenix_hypervisor.plan.picture.svg import svg

    wanted = out is not None or not context.json
    drawn = "" if not wanted else svg(found) if form == "svg" else mermaid(found)
    if out is not None:
        try:
            out.write_text(drawn, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{out} can't be written: {error.strerror}", hint="choose another --out"
            ) from error
    if context.json:
        context.document(as_json.dump(found))
    elif out is not None:
        context.print(f"wrote {out}")
    else:
        typer.echo(drawn, nl=False)
