"""`phoenix watch`: asks all checks again and again, keeps what they say, and heals."""

import asyncio
import os
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from phoenix_hypervisor.cli import _watch
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import UsageError

if TYPE_CHECKING:
    from phoenix_hypervisor.app.watching.watcher import Watcher, Wishes

SETTINGS = {
    "epilog": "Examples: phoenix watch · phoenix watch --observe-only --for 60 · "
    "phoenix watch --metrics 127.0.0.1:9470 --install"
}
_SWITCH_S = 0.0005


def watch(
    ctx: typer.Context,
    observe_only: Annotated[
        bool, typer.Option("--observe-only", help="Heal nothing: only tell what would be done.")
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="ADDR:PORT", help="Serve /metrics for Prometheus there."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0.1, help="End after so many seconds.")
    ] = None,
    install: Annotated[
        bool,
        typer.Option(
            "--install", help="Make it a systemd service with these options, and start it."
        ),
    ] = False,
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="End that service and take it away.")
    ] = False,
) -> None:
    """Watches every guest until it is ended: asks its checks, keeps what they say, and heals."""
    from phoenix_hypervisor.app.watching import scraped

    context: Context = ctx.obj
    at = scraped.place(metrics) if metrics else None
    if install or uninstall:
        if (install and uninstall) or seconds is not None:
            raise UsageError("--install, --uninstall and --for don't go together")
        from phoenix_hypervisor.cli import _watch_service

        options = ["--observe-only"] * observe_only + (["--metrics", metrics] if metrics else [])
        if install:
            _watch_service.install(context, options)
        else:
            _watch_service.uninstall(context)
        return
    from phoenix_hypervisor.app.watching.watcher import Wishes

    # Threads that calculate must not hold up the questions, which let go of Python at each step.
    sys.setswitchinterval(_SWITCH_S)
    context.run(_run(context, Wishes(observe_only, at), seconds))


async def _run(context: Context, wishes: "Wishes", seconds: float | None) -> None:
    from phoenix_hypervisor import app
    from phoenix_hypervisor.app.watching import made, only_one
    from phoenix_hypervisor.app.watching.watcher import Opening, Watcher
    from phoenix_hypervisor.config.secrets import Secrets

    environ, on = dict(os.environ), context.on
    folder = context.folder.absolute()
    target = app.name_of_driver(folder, on, environ, {})
    opening = Opening(
        folder,
        session=context.session,
        anew=lambda: app.session(folder, on, environ, redactor=context.redactor),
        read=lambda: app.read(folder, on, environ),
        lookup=lambda name: Secrets(folder, environ, context.redactor).lookup(name),
        hide=context.redactor,
        was_made=partial(made.before, folder, target),
    )
    with ExitStack() as held:
        held.enter_context(only_one.hold(folder, target))
        if (desired := opening.read().desired) is not None:
            held.enter_context(only_one.hold_stack(desired, target, environ))
        tell = held.enter_context(_watch.Teller(context))
        watcher = Watcher(opening, tell, wishes)
        await _until_ended(watcher, seconds)
    _watch.report(context, watcher.summary)


async def _until_ended(watcher: "Watcher", seconds: float | None) -> None:
    """An end that was asked for, by a signal or by `--for`, is a good one."""
    try:
        async with asyncio.timeout(seconds) as limit:
            await watcher.run()
    except asyncio.CancelledError:
        return
    except TimeoutError:
        if not limit.expired():
            raise  # not ours
