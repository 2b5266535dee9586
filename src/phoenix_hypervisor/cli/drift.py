"""`phoenix drift`: what differs from the files and, with `--deep`, inside of the guests."""

from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import EXIT_FAILED, EXIT_PENDING, Context

SETTINGS = {
    "epilog": "Examples: phoenix drift · phoenix drift --deep · phoenix drift --deep web 102 · "
    "phoenix drift --deep --detailed-exitcode"
}


def drift(
    ctx: typer.Context,
    guests: Annotated[
        list[str] | None, typer.Argument(help="Addresses, ids or names; default: all guests.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Ask inside of the running guests, as a diff.")
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if anything differs.")
    ] = False,
) -> None:
    """Shows what differs from the files, and changes nothing.

    Without --deep nothing inside of the guests is asked: what is told of it comes from the
    fingerprint that an apply leaves in the target's metadata.
    """
    context: Context = ctx.obj
    status = context.run(_look(context, guests or [], deep))
    if status == EXIT_PENDING and not detailed_exitcode:
        return
    raise typer.Exit(status)


async def _look(context: Context, words: list[str], deep: bool) -> int:
    from phoenix_hypervisor.app import drift as asking
    from phoenix_hypervisor.cli import _drift

    async with context.session() as session:
        context.warnings(session.warnings)
        found = await asking.look(session, words, deep=deep, tell=lambda _address, _words: None)
    if context.json:
        context.document(_drift.as_json(found, deep=deep))
    else:
        context.print(_drift.text(found, deep=deep))
    if found.failed:
        return EXIT_FAILED
    return EXIT_PENDING if found.drifted else 0
