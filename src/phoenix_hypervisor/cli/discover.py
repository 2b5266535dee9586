"""`phoenix discover`: what is on a target, as a table, as JSON, or as files to begin with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from phoenix_hypervisor.cli import _inventory, _reach
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import Unsupported, UsageError
from phoenix_hypervisor.model.inventory import Inventory, Lists
from phoenix_hypervisor.model.plan import Plan

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session
    from phoenix_hypervisor.cli._written import Written

SETTINGS = {
    "epilog": "Examples: phoenix discover · "
    "phoenix discover --endpoint https://pve1:8006 --token-id phoenix@pve!laptop · "
    "phoenix discover --write ~/phoenix · phoenix discover lxc/101 web --write ~/phoenix"
}


def discover(
    ctx: typer.Context,
    guests: Annotated[
        list[str] | None,
        typer.Argument(help="With --write: only these, as addresses, ids or names."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write it as the files of this new folder.")
    ] = None,
    endpoint: _reach.Endpoint = None,
    node: _reach.Node = None,
    token_id: _reach.Token = None,
    username: _reach.Username = None,
    ca_file: _reach.CaFile = None,
    fingerprint: _reach.Pin = None,
) -> None:
    """Shows what is on the target, whoever made it; with a folder also what that would change.

    It changes nothing there and works without any file. Secrets are never written.
    """
    if guests and write is None:
        raise UsageError("which guests to take is only asked with --write")
    given = _reach.given(
        endpoint=endpoint,
        node=node,
        token_id=token_id,
        username=username,
        ca_file=ca_file,
        fingerprint=fingerprint,
    )
    context: Context = ctx.obj
    context.run(_discover(context, given, guests or [], write))


async def _discover(
    context: Context, given: dict[str, Any], guests: list[str], folder: Path | None
) -> None:
    from phoenix_hypervisor.cli import _written
    from phoenix_hypervisor.plan.options import Options

    if folder is not None:
        _written.refuse_if_there(folder)
    async with context.session(given) as session:
        driver = session.driver
        if not isinstance(driver, Lists):
            raise Unsupported(
                f"there is nothing to discover on {driver.name}",
                hint="name a real target with --on or --endpoint",
            )
        found = await driver.inventory(session.desired)
        plan: Plan | None = None
        if session.desired.guests:
            plan, _ = await session.plan(Options())
        _show(context, found, session, plan)
        if folder is not None:
            written = _written.write(folder, found, session.desired, driver.name, guests)
            await _tell(context, session, written)


def _show(context: Context, found: Inventory, session: "Session", plan: Plan | None) -> None:
    if context.json:
        context.document(_inventory.as_json(found, session.driver.name, plan))
    else:
        for title, table in _inventory.tables(found):
            context.out.print(f"[bold]{title}[/]")
            context.out.print(table)
            context.out.print()
    for note in found.notes:
        context.say(f"[yellow]note:[/] {escape(note)}")
    if plan is not None:
        counts = ", ".join(f"{count} to {action}" for action, count in plan.summary.items())
        said = f"The folder {context.folder} would change here: {counts or 'nothing'}"
        context.print(f"{escape(said)}; `phoenix plan` tells all.")
        for refusal in plan.refusals:
            context.say(f"[bold red]refused:[/] {escape(refusal)}")


async def _tell(context: Context, session: "Session", written: "Written") -> None:
    """What was written and left out, and what an apply of these files would change."""
    from phoenix_hypervisor.app import Session

    fresh = Session(written.desired, session.driver, session.secrets, ())
    plan, _ = await fresh.plan_adopt([], configured=False)
    for address, reason in written.left_out.items():
        context.say(f"[yellow]left out:[/] {escape(address)}: {escape(reason)}")
    for line in (*plan.refusals, *plan.notes):
        context.say(f"[yellow]note:[/] {escape(line)}")
    count = len(written.guests)
    place = escape(str(written.folder))
    context.say(f"wrote {count} guest{'s' * (count != 1)} to [bold]{place}[/]")
    context.say(f"next: phoenix --dir {place} validate; phoenix --dir {place} adopt --all")
