"""`phoenix graph`: the guests and what they need, or the plan, as a picture."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    found = context.run(_planned(context)) if plan else _of_files(context)
    _give(context, found, chosen, out)


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


async def _planned(context: Context) -> "Graph":
    from phoenix_hypervisor.plan.options import Options
    from phoenix_hypervisor.plan.picture.of_plan import of_plan

    async with context.session() as session:
        context.warnings(session.warnings)
        found, _ = await session.plan(Options())
    return of_plan(found)


def _give(context: Context, found: "Graph", form: str, out: Path | None) -> None:
    from phoenix_hypervisor.plan.picture.mermaid import mermaid
    from phoenix_hypervisor.plan.picture.svg import svg

    drawn = svg(found) if form == "svg" else mermaid(found)
    if out is not None:
        try:
            out.write_text(drawn, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{out} can't be written: {error.strerror}", hint="choose another --out"
            ) from error
    if context.json:
        context.document(_as_json(found))
    elif out is not None:
        context.print(f"wrote {out}")
    else:
        typer.echo(drawn, nl=False)


def _as_json(found: "Graph") -> dict[str, object]:
    return {
        "format": 1,
        "title": found.title,
        "description": found.description,
        "nodes": [
            {"key": n.key, "kind": n.kind, "name": n.name, "lines": list(n.lines)}
            for n in found.nodes
        ],
        "edges": [{"source": e.source, "target": e.target, "kind": e.kind} for e in found.edges],
    }
