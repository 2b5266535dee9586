"""`phoenix doctor`: what is missing on this machine, each with the command that mends it."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from phoenix_hypervisor.cli._context import EXIT_FAILED, Context
from phoenix_hypervisor.model.errors import ConfigError, PhoenixError

SETTINGS = {"epilog": "Example: phoenix doctor"}
_NEWEST_OLD = (3, 11)
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_INOTIFY = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is the command, empty where nothing is wrong."""

    what: str
    ok: bool
    said: str
    mend: str = ""


def doctor(ctx: typer.Context) -> None:
    """Looks at this machine and the target, and says for all that is missing how to mend it."""
    context: Context = ctx.obj
    findings = [*_machine(), context.run(_target(context))]
    ok = all(finding.ok for finding in findings)
    if context.json:
        listed = [{"what": f.what, "ok": f.ok, "message": f.said, "mend": f.mend} for f in findings]
        context.document({"format": 1, "ok": ok, "findings": listed})
    for finding in findings:
        sign = "[green]✓[/]" if finding.ok else "[red]✗[/]"
        context.print(f"{sign} {finding.what}: {finding.said}")
        if finding.mend:
            context.print(f"    mend it with: [bold]{finding.mend}[/]")
    if not ok:
        raise typer.Exit(EXIT_FAILED)


def _machine() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("Python", sys.version_info >= _NEWEST_OLD, version)
    if Path("/etc/pve").is_dir():
        yield Finding("this machine", True, "a Proxmox node: Incus is not needed here")
        return
    root = os.geteuid() == 0
    yield Finding("user", root, "root" if root else "not root", "" if root else "sudo phoenix …")
    tools = {
        "incus": ("incus-client", "to speak to the Incus daemon"),
        "mmdebstrap": ("mmdebstrap", "to build images from this machine's own mirror"),
        "nft": ("nftables", "for NAT of the guests' bridges"),
        "mkfs.btrfs": ("btrfs-progs", "for copy-on-write storage pools"),
        "zstd": ("zstd", "to pack the images that are built"),
        "newuidmap": ("uidmap", "for unprivileged containers"),
        "lxcfs": ("lxcfs", "so that guests see their own memory and cores"),
        "dnsmasq": ("dnsmasq-base", "for DNS and DHCP of the guests' bridges"),
    }
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    for tool, (package, purpose) in tools.items():
        found = shutil.which(tool, path=path)
        mend = "" if found else f"apt-get install {package}   (lab/incus.sh installs all of them)"
        yield Finding(tool, found is not None, found or f"missing; it is needed {purpose}", mend)
    yield _inotify()


def _inotify() -> Finding:
    # Each guest's systemd needs about ten; all guests together have what root has.
    have = int(_INOTIFY.read_text())
    if have >= _ENOUGH_INOTIFY:
        return Finding("inotify", True, f"{have} instances")
    said = f"only {have} instances: services of about the twelfth guest fail at random"
    name = "fs.inotify.max_user_instances"
    return Finding("inotify", False, said, f"sysctl -w {name}={_ENOUGH_INOTIFY}")


async def _target(context: Context) -> Finding:
    try:
        async with context.session() as session:
            observed = await session.driver.observe(session.desired)
    except ConfigError as error:
        return Finding("the files", False, error.message, "phoenix validate")
    except PhoenixError as error:
        return Finding("the target", False, error.message, error.hint)
    mine = sum(seen.stack == session.desired.stack for seen in observed.guests.values())
    said = f"{session.driver.name} answers; {mine} guests of the stack “{session.desired.stack}”"
    return Finding("the target", True, said)
