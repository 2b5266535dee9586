"""`phoenix doctor`: what is missing on this machine and the target, with what mends it."""

import os
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape

from phoenix_hypervisor.cli import _machine, _reach
from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.model.errors import ConfigError, PhoenixError
from phoenix_hypervisor.model.finding import Examines, Finding

SETTINGS = {
    "epilog": "Examples: phoenix doctor · phoenix doctor --on proxmox · "
    "phoenix doctor --endpoint https://pve1:8006 --token-id phoenix@pve!laptop"
}
_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}


def doctor(
    ctx: typer.Context,
    endpoint: _reach.Endpoint = None,
    node: _reach.Node = None,
    token_id: _reach.Token = None,
    username: _reach.Username = None,
    ca_file: _reach.CaFile = None,
    fingerprint: _reach.Pin = None,
) -> None:
    """Looks at this machine and the target, and says for all that is missing how to mend it.

    It changes nothing. Exits with 1 where something is missing without which nothing works.
    """
    given = _reach.given(
        endpoint=endpoint,
        node=node,
        token_id=token_id,
        username=username,
        ca_file=ca_file,
        fingerprint=fingerprint,
    )
    context: Context = ctx.obj
    findings = context.run(_examine(context, given))
    ok = not any(finding.severity == "error" for finding in findings)
    if context.json:
        context.document({"format": 1, "ok": ok, "findings": [_as_json(f) for f in findings]})
    for finding in findings:
        sign = _SIGNS[finding.severity]
        context.print(f"{sign} {escape(finding.what)}: {escape(finding.said)}")
        if finding.mend:
            context.print(f"    mend it with: [bold]{escape(finding.mend)}[/]")
    if not ok:
        raise typer.Exit(EXIT_FAILED)


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "what": finding.what,
        "ok": finding.ok,
        "severity": finding.severity,
        "message": finding.said,
        "mend": finding.mend,
    }


async def _examine(context: Context, given: dict[str, Any]) -> Sequence[Finding]:
    from phoenix_hypervisor import app

    driver = app.name_of_driver(context.folder, context.on, os.environ, given)
    here = [*_machine.look(driver)]
    # A Proxmox cluster can be looked at before there are files; elsewhere they say what is meant.
    reach = given if given or driver == "proxmox" else None
    try:
        async with context.session(reach) as session:
            observed = await session.driver.observe(session.desired)
            there: Sequence[Finding] = ()
            if isinstance(session.driver, Examines):
                there = await session.driver.examine(session.desired)
    except ConfigError as error:
        return [*here, Finding("the files", False, error.message, "phoenix validate")]
    except PhoenixError as error:
        return [*here, Finding("the target", False, error.message, error.hint)]
    mine = sum(seen.stack == session.desired.stack for seen in observed.guests.values())
    said = f"{session.driver.name} answers; {mine} guests of the stack “{session.desired.stack}”"
    return [*here, Finding("the target", True, said), *there]
