"""`phoenix serve`: the dashboard and its JSON API."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import UsageError

if TYPE_CHECKING:
    from phoenix_hypervisor.web.security.keys import Keys
    from phoenix_hypervisor.web.server import Settings

SETTINGS = {
    "epilog": "Examples: phoenix serve · phoenix serve --listen 127.0.0.1:9000 · "
    "phoenix serve --set-password · phoenix serve --new-token prometheus · "
    "phoenix serve --listen 0.0.0.0:8420 --name phoenix.example.org --cert c.pem --key k.pem"
}


def serve(
    ctx: typer.Context,
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDR:PORT",
            help="Address and port. Beyond this machine it needs TLS and a login.",
        ),
    ] = "127.0.0.1:8420",
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="A host name by which the dashboard is opened; may repeat."
        ),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(help="A file with the TLS certificate and its chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="A file with the certificate's key.")] = None,
    idle_minutes: Annotated[
        float,
        typer.Option(
            metavar="MINUTES", min=0.01, max=1440, help="A session ends unused after this time."
        ),
    ] = 30.0,
    lifetime_hours: Annotated[
        float,
        typer.Option(
            metavar="HOURS", min=0.001, max=168, help="A session ends at last after this time."
        ),
    ] = 12.0,
    set_password: Annotated[
        bool, typer.Option("--set-password", help="Ask for a new password, and leave.")
    ] = False,
    new_token: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print a new token of this name, and leave."),
    ] = None,
    may_act: Annotated[
        bool, typer.Option("--may-act", help="With --new-token: not only for reading.")
    ] = False,
    forget_token: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take a token back, and leave.")
    ] = None,
) -> None:
    """Serves the dashboard, until it is interrupted; prints a link that lets in once."""
    context: Context = ctx.obj
    if sum((set_password, new_token is not None, forget_token is not None)) > 1:
        raise UsageError("--set-password, --new-token and --forget-token: give one of them")
    if may_act and new_token is None:
        raise UsageError("--may-act is of --new-token")
    from phoenix_hypervisor.web.security.keys import Keys

    keys = Keys(context.folder)
    if set_password:
        keys.set_password(_asked())
        context.print("the password is set; who logged in with another one has to log in again")
    elif new_token is not None:
        _give_token(context, keys, new_token, may_act=may_act)
    elif forget_token is not None:
        keys.forget_token(forget_token)
        context.print(f"the token {forget_token} is void, and the sessions that it opened are over")
    else:
        from phoenix_hypervisor.web.security.names import listen as where
        from phoenix_hypervisor.web.server import Settings

        settings = Settings(
            where(listen), tuple(name or ()), cert, key, idle_minutes * 60, lifetime_hours * 3600
        )
        context.run(_serve(context, settings))


async def _serve(context: Context, settings: "Settings") -> None:
    from phoenix_hypervisor.cli import _hidden
    from phoenix_hypervisor.web.server import Dashboard

    _hidden.no_core()
    dashboard = Dashboard(context.folder, context.on, context.redactor, settings)

    def ready(link: str) -> None:
        if context.json:
            context.document({"format": 1, "listening": True, "link": link})
        context.print(f"open {link}\n(once, within ten minutes; Ctrl-C ends the dashboard)")
        if ".localhost:" in link:
            context.print("(where a browser can't find that name: 127.0.0.1 in its place)")

    await dashboard.serve(ready)


def _asked() -> str:
    """A password, from the terminal, or the one line that standard input gives."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    from getpass import getpass

    first = getpass("New password: ")
    if first != getpass("Once more: "):
        raise UsageError("the two are not the same", hint="nothing was changed")
    return first


def _give_token(context: Context, keys: "Keys", name: str, *, may_act: bool) -> None:
    token = keys.new_token(name, "act" if may_act else "read")
    if context.json:
        context.document({"format": 1, "name": name, "token": token})
    context.print(token)
    context.say("(shown this once)")
