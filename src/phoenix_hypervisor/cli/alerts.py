"""`phoenix alerts`: what was told, and whether those who are told can be reached."""

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.model.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from phoenix_hypervisor.model.desired import Desired

alerts = typer.Typer(
    help="Shows what is wrong and was told, and sends a test to those who are told.",
    epilog="Examples: phoenix alerts list · phoenix alerts test · phoenix alerts test ops",
    no_args_is_help=True,
    add_completion=False,
)


@alerts.command("list", epilog="Examples: phoenix alerts list · phoenix --json alerts list")
def list_(ctx: typer.Context) -> None:
    """Lists what `phoenix watch` has told and what is not over, the oldest first."""
    context: Context = ctx.obj
    from phoenix_hypervisor.app.watching import told_before
    from phoenix_hypervisor.watch.alerting import lasted

    found = told_before.active(_desired(context).folder)
    if context.json:
        told = [
            {
                "address": one.guest,
                "severity": one.severity,
                "since": one.since,
                "text": one.text,
            }
            for one in found
        ]
        context.document({"format": 1, "alerts": told})
        return
    for one in found:
        colour = "red" if one.severity == "page" else "yellow"
        took = lasted(time.time() - one.since)
        context.print(f"[{colour}]{one.severity}[/] {escape(one.text)} [dim](told {took} ago)[/]")
    if not found:
        context.print("nothing is wrong, as far as `phoenix watch` has told")


@alerts.command("test", epilog="Examples: phoenix alerts test · phoenix alerts test ops")
def send_test(
    ctx: typer.Context,
    targets: Annotated[
        list[str] | None, typer.Argument(help="Names of targets; all where missing.")
    ] = None,
) -> None:
    """Sends a message to the targets of `watch.alerts`; exits with 1 if one was not told."""
    context: Context = ctx.obj
    raise typer.Exit(context.run(_test(context, targets or [])))


async def _test(context: Context, names: list[str]) -> int:
    from phoenix_hypervisor.app import notifying
    from phoenix_hypervisor.cli import _hidden
    from phoenix_hypervisor.config.secrets import Secrets

    desired = _desired(context)
    reveal = Secrets(desired.folder, os.environ, context.redactor).lookup
    wanted = notifying.notifiers(desired.watch.alerts, reveal, context.redactor, names)
    if not wanted:
        raise UsageError("there is no alert target", hint="name one in `watch.alerts.targets`")
    _hidden.no_core()
    ended = await notifying.test(wanted)
    ok = not any(ended.values())
    if context.json:
        told = [
            {
                "name": name,
                "ok": error is None,
                "problem": "" if error is None else error.message,
                "hint": "" if error is None else error.hint,
            }
            for name, error in ended.items()
        ]
        context.document({"format": 1, "ok": ok, "targets": told})
    for name, error in ended.items():
        if error is None:
            context.print(f"[green]✓[/] {escape(name)} was told")
        elif not context.json:
            context.say(f"[red]✗[/] {escape(error.message)}")
            if error.hint:
                context.say(f"    [dim]{escape(error.hint)}[/]")
    return 0 if ok else EXIT_FAILED


def _desired(context: Context) -> "Desired":
    from phoenix_hypervisor import app

    loaded = app.read(context.folder, context.on, os.environ)
    if loaded.desired is None:
        raise ConfigError(f"the files in {context.folder} have errors", loaded.problems)
    return loaded.desired
