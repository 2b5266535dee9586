"""`phoenix host`: the host itself: storage, network, firewall, shares, driver."""

from typing import Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import EXIT_FAILED, EXIT_PENDING, Context

host = typer.Typer(
    help="Sets up the host below the guests, from the same files.",
    epilog="Examples: phoenix host plan · phoenix host apply",
    no_args_is_help=True,
    add_completion=False,
)

Wipe = Annotated[
    list[str] | None,
    typer.Option(
        "--wipe-disks",
        metavar="SERIAL",
        help="The serial number of a disk whose content may be destroyed; may repeat.",
    ),
]
Reboot = Annotated[
    bool, typer.Option("--allow-reboot", help="The node may be restarted, with all its guests.")
]


@host.command("plan", epilog="Examples: phoenix host plan · phoenix host plan --detailed-exitcode")
def plan(
    ctx: typer.Context,
    wipe_disks: Wipe = None,
    allow_reboot: Reboot = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if changes are pending.")
    ] = False,
) -> None:
    """Shows what would change on the host, and changes nothing."""
    context: Context = ctx.obj
    status = context.run(_plan(context, wipe_disks or [], reboot=allow_reboot))
    if status == EXIT_PENDING and not detailed_exitcode:
        return
    raise typer.Exit(status)


@host.command("apply", epilog="Examples: phoenix host apply · phoenix host apply --yes")
def apply(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    wipe_disks: Wipe = None,
    allow_reboot: Reboot = False,
) -> None:
    """Applies the plan that it shows, and looks again; run again, it mends what was interrupted."""
    context: Context = ctx.obj
    raise typer.Exit(context.run(_apply(context, wipe_disks or [], reboot=allow_reboot, yes=yes)))


async def _plan(context: Context, wipe: list[str], *, reboot: bool) -> int:
    from phoenix_hypervisor.app.host import Choice, HostWork
    from phoenix_hypervisor.plan import as_json, render

    async with context.session() as session:
        context.warnings(session.warnings)
        work = HostWork(session, Choice(frozenset(wipe), reboot))
        found = await work.plan(_quiet)
        if context.json:
            context.document(as_json.dump(found))
        context.print(render.text(found))
    if found.refusals:
        return EXIT_FAILED
    return EXIT_PENDING if found.changes else 0


async def _apply(context: Context, wipe: list[str], *, reboot: bool, yes: bool) -> int:
    from phoenix_hypervisor.app.host import Choice, HostWork, hold, left_over, outstanding
    from phoenix_hypervisor.app.refusing import refuse
    from phoenix_hypervisor.cli._carry_out import carry_out
    from phoenix_hypervisor.model.observed import Observed
    from phoenix_hypervisor.plan import render
    from phoenix_hypervisor.plan.options import Options

    async with context.session() as session, hold(session, "phoenix host apply"):
        context.warnings(session.warnings)
        work = HostWork(session, Choice(frozenset(wipe), reboot))
        found = await work.plan(_quiet)
        named = frozenset(change.address for change in found.changes)  # by --wipe-disks itself
        refuse(found, named)
        status = await carry_out(
            context,
            session,
            found,
            Observed(),
            yes=yes,
            parallel=4,
            options=Options(),
            verify=False,
            question=f"Apply this to the host {render.host(found)}?",
        )
        if status != 0 and (
            told := await work.start_stopped(lambda words: context.say(escape(words)))
        ):
            context.say(f"[yellow]stopped for the driver:[/] {escape(told)}")
        if status == 0 and found.changes:
            after = await work.plan(_quiet)
            still = left_over(after)
            for address, reason in outstanding(after).items():
                context.say(f"[yellow]outstanding:[/] {address}: {escape(reason)}")
            for address, reason in still.items():
                context.say(f"[bold red]still not as the files say:[/] {address}: {escape(reason)}")
            status = EXIT_FAILED if still else 0
    return status


def _quiet(words: str) -> None:
    """Looking takes a moment, and says nothing."""
    del words
