"""`phoenix watch --install` and `--uninstall`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import ConfigError

if TYPE_CHECKING:
    from phoenix_hypervisor.app.watching.service import Service
    from phoenix_hypervisor.config.secrets import Secrets


def install(context: Context, options: list[str]) -> None:
    """Makes it a service that begins with the machine; `options` are those of its command."""
    from phoenix_hypervisor.config.secrets import Secrets

    secrets = Secrets(context.folder.absolute(), os.environ)
    service = _service(context, secrets, options)
    service.install()
    context.say(f"[green]{service.name} watches {escape(str(service.folder))}[/]")
    context.say(f"[dim]what it tells: journalctl --follow --unit={service.name}[/]")
    if not service.root:
        context.say("[dim]so that it runs while you are not logged in: loginctl enable-linger[/]")
    if secrets.from_environment:
        names = escape(", ".join(sorted(secrets.from_environment)))
        context.say(
            f"[yellow]warning:[/] the service does not have this shell's environment, where {names}"
            f" is kept: write NAME=VALUE into {escape(str(service.secrets))} (mode 600), or use "
            "`phoenix secrets set NAME`"
        )


def uninstall(context: Context) -> None:
    """Takes the service away; what was measured stays."""
    from phoenix_hypervisor.app.watching import service

    for name in service.uninstall(context.folder.resolve(), os.environ):
        context.say(f"{name} is gone; what was measured stays in .phoenix")


def _service(context: Context, secrets: "Secrets", options: list[str]) -> "Service":
    from phoenix_hypervisor import app
    from phoenix_hypervisor.app.watching.service import Service
    from phoenix_hypervisor.config.load import load

    folder = context.folder.resolve()
    found = load(folder, app.vocabulary(), on=context.on, known_secrets=secrets.has)
    if found.desired is None:
        raise ConfigError(f"the files in {folder} have errors", found.problems)
    program = Path(sys.executable).with_name("phoenix")
    argv = [str(program if program.exists() else Path(sys.argv[0]).absolute())]
    argv += ["--dir", str(folder), *(["--on", context.on] if context.on else [])]
    return Service(found.desired.stack, folder, [*argv, "watch", *options], os.environ)
