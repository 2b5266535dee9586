"""`phoenix exec`: runs a command in a guest, without SSH in it."""

import shlex
import sys
from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.cli._inside import running
from phoenix_hypervisor.model.errors import UsageError

SETTINGS = {
    "epilog": "Example: phoenix exec db -- sudo -u postgres psql -c 'select version()'",
    "context_settings": {"ignore_unknown_options": True},
}


def exec_(
    ctx: typer.Context,
    guest: Annotated[str, typer.Argument(help="An address, id or name.")],
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    timeout: Annotated[float, typer.Option(help="Seconds that it may take.")] = 3600.0,
) -> None:
    """Runs a command as root in a guest; exits with the command's own status."""
    context: Context = ctx.obj
    if not command:
        raise UsageError("what is to be run? phoenix exec GUEST -- COMMAND")
    raise typer.Exit(context.run(_exec(context, guest, command, timeout)))


async def _exec(context: Context, word: str, command: list[str], timeout_s: float) -> int:
    import asyncio

    from phoenix_hypervisor.shell import Shell

    async with context.session() as session:
        address = await running(session, word)
        with Shell(await session.driver.way_in(address), name=address) as shell:
            answer = await asyncio.to_thread(
                shell.run,
                shlex.join(command),
                timeout_s=timeout_s,
                # Raw, as it comes: what a command says is the caller's own wish.
                out_to=None if context.json else sys.stdout.buffer,
                err_to=None if context.json else sys.stderr.buffer,
            )
    if context.json:
        said = {"status": answer.status, "out": answer.out.decode(errors="replace")}
        context.document({"format": 1, **said, "err": answer.err.decode(errors="replace")})
    return answer.status
