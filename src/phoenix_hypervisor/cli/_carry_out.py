"""Shows a plan, asks, applies it with live progress, and tells how it ended."""

import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import EXIT_FAILED, EXIT_INTERRUPTED, Context
from phoenix_hypervisor.cli._interrupt import asking
from phoenix_hypervisor.cli._lasting import lasting
from phoenix_hypervisor.cli._progress import progress
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.event import Event, Failure, Report
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import render

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session
    from phoenix_hypervisor.app.past import Past
    from phoenix_hypervisor.plan.options import Options


async def carry_out(
    context: Context,
    session: "Session",
    plan: Plan,
    observed: Observed,
    *,
    yes: bool,
    parallel: int,
    options: "Options",
    verify: bool = True,
    question: str = "Apply this?",
) -> int:
    """Applies a plan that may be applied. Returns the exit status.

    From the yes on, a reader who leaves breaks nothing off.
    """
    from phoenix_hypervisor.app.past import Past

    context.unread = EXIT_FAILED  # not done yet
    with ExitStack() as held:
        if yes:
            held.enter_context(lasting())
        for one in session.broken_off:
            context.say(f"[yellow]found:[/] {escape(one.told)} was broken off")
        past = Past(session)
        plan = past.estimated(plan, parallel)
        context.print(render.text(plan))
        if any(change.steps for change in plan.changes) and not yes:
            _ask(context, question)
        if not yes:
            held.enter_context(lasting())
        context.unread = await _apply(
            context,
            session,
            past,
            plan,
            observed,
            parallel=parallel,
            options=options,
            verify=verify,
        )
    return context.unread


async def _apply(
    context: Context,
    session: "Session",
    past: "Past",
    plan: Plan,
    observed: Observed,
    *,
    parallel: int,
    options: "Options",
    verify: bool,
) -> int:
    checked: set[Address] = set()
    with progress(context, plan, past.forecast(plan, parallel)) as show:

        def emit(event: Event) -> None:
            if event.step == "check" and event.event == "finished":
                checked.add(event.address)
            show(event)

        report = await past.apply(
            shlex.join(("phoenix", *context.argv)),
            plan,
            observed,
            emit,
            parallel=parallel,
            reconfigure=options.reconfigure,
            then_verify=(options.targets or None) if verify else frozenset(),
        )
    if past.trouble:
        context.say(f"[yellow]warning:[/] no history is kept: {escape(past.trouble)}")
    doors = session.doors(options.targets) if verify else {}
    _tell(context, report, doors, checked=bool(checked), real=session.driver.has_inside)
    if report.interrupted:
        return EXIT_INTERRUPTED
    return 0 if report.ok else EXIT_FAILED


_ROOTED = 12
"""So many uses of root are shown; --json has all."""


def _ask(context: Context, question: str) -> None:
    if not sys.stdin.isatty() or context.json:
        raise UsageError(
            "this needs a yes, and there is no terminal to ask on",
            hint="give --yes; nothing was changed",
        )
    with asking():
        answer = typer.confirm(question)
    if not answer:
        context.say("nothing was changed")
        raise typer.Exit(EXIT_FAILED)


def _tell(
    context: Context, report: Report, doors: Mapping[Address, str], *, checked: bool, real: bool
) -> None:
    if context.json:
        context.document(report.as_json())
        return
    for line in report.found:
        context.say(f"[yellow]found:[/] {escape(line)}")
    for failure in report.failed:
        _tell_failure(context, failure)
    for line in report.half_done:
        context.say(f"[yellow]half done:[/] {escape(line)}")
    for line in report.left_out:
        context.say(f"[yellow]left out:[/] {escape(line)}")
    _tell_rooted(context, report)
    took = render.seconds(report.elapsed_s)
    if report.interrupted:
        context.say("[yellow]interrupted[/]; running it again goes on where this stopped")
    elif not report.ok:
        context.say(f"[bold red]not finished[/] after {took}; running it again goes on from here")
    elif not real:
        context.print(f"[green]done[/] in {took}: simulated only, nothing real was made")
    else:
        context.print(f"[bold green]done[/] in {took}" + "; every check passed" * checked)
        for address, url in doors.items():
            context.print(f"open [bold]{url}[/]  ({address})")


def _tell_rooted(context: Context, report: Report) -> None:
    for line in report.rooted[:_ROOTED]:
        context.say(f"[dim]as root on {escape(line)}[/]")
    if len(report.rooted) > _ROOTED:
        more = len(report.rooted) - _ROOTED
        context.say(f"[dim]as root: {more} more; --json lists them all[/]")


def _tell_failure(context: Context, failure: Failure) -> None:
    where = f"{failure.address} {failure.step}"
    context.say(f"[bold red]failed:[/] {where}: {escape(failure.message)}")
    if failure.detail:
        context.say(f"[dim]{escape(failure.detail)}[/]")
    if failure.hint:
        context.say(f"[bold]hint:[/] {escape(failure.hint)}")
