"""The exchange of NVIDIA's driver as a unit of the node's own: it ends whatever becomes of Phoenix.

`systemd-run` starts it and Phoenix follows it from outside, also one that an earlier run began. The
version before is noted on the node, so that the way back is known after the node itself broke off.

Source: systemd-run(1). Nothing of the script is in its arguments: systemd 252 expands `$` there.
"""

import time
from dataclasses import dataclass

from phoenix_hypervisor.host._nvidia import BEFORE, EXCHANGE, KEEP
from phoenix_hypervisor.host._script import with_arguments
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, TimedOut, Unreachable
from phoenix_hypervisor.model.node import Node

UNIT = "phoenix-nvidia-exchange.service"
_FOLDER = f"{KEEP}/exchange"
_LIMIT_S = 3600.0
_LOG_BYTES = 6000

LOOK = f"""\
echo "before $(cat {BEFORE} 2>/dev/null)"
! systemctl is-active --quiet {UNIT} || echo "exchange $(cat {_FOLDER}/version)"
"""
"""Prints the version that an exchange which did not end well began with, and that at work."""

_FOLLOW = f"""\
for pause in 0.1 0.2 0.5 1 1 1 1 1 1 1 1 1; do
    systemctl is-active --quiet {UNIT} || {{
        echo "ended $(cat {_FOLDER}/status 2>/dev/null)"
        tail -c {_LOG_BYTES} {_FOLDER}/log 2>/dev/null
        exit 0
    }}
    sleep $pause
done
echo running
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an exchange ended; `status` is None where it was broken off, with the node, say."""

    status: int | None
    log: str


def _start_script(script: str, version: str) -> str:
    return f"""\
set -e
mkdir -p -m 700 {_FOLDER}
! systemctl is-active --quiet {UNIT} || {{ echo "another exchange is at work" >&2; exit 1; }}
rm -f {_FOLDER}/status
echo {version} > {_FOLDER}/version
cat > {_FOLDER}/script <<'PHOENIX'
{script}
PHOENIX
cat > {_FOLDER}/run <<'PHOENIX'
cd {_FOLDER}
sh ./script > /dev/null 2> log
echo $? > status.new
mv status.new status
PHOENIX
systemd-run --quiet --collect --unit={UNIT} --setenv=LC_ALL=C.UTF-8 sh {_FOLDER}/run
"""


async def start(node: Node, version: str, old: str, *more: str) -> None:
    """Begins an exchange of `old` (or nothing) for `version`; `more` are arguments of `EXCHANGE`.

    Raises `ConfigureFailed` where it can't begin.
    """
    script = _start_script(with_arguments(EXCHANGE, version, old, *more), version)
    said = await node.run(script, f"NVIDIA's driver {version}")
    if said.status:
        raise ConfigureFailed(
            f"the exchange for NVIDIA's driver {version} can't begin", detail=said.err.strip()
        )


async def follow(node: Node, tell: Tell) -> Ended:
    """Waits for the exchange's end. Raises `TimedOut` after an hour; it goes on all the same."""
    begin = time.monotonic()
    while True:
        try:
            said = await node.run(_FOLLOW, "how the exchange of NVIDIA's driver goes")
        except Unreachable as error:
            error.detail = "\n".join(
                one
                for one in (
                    error.detail,
                    "the exchange of NVIDIA's driver goes on on the node; "
                    "`phoenix host apply` finds it and follows it",
                )
                if one
            )
            raise
        if said.status:
            raise PhoenixError(f"how the exchange goes can't be seen: {said.err.strip()}")
        first, _, log = said.out.partition("\n")
        if first != "running":
            status = first.removeprefix("ended").strip()
            return Ended(int(status) if status.isdigit() else None, log.strip())
        elapsed = time.monotonic() - begin
        if elapsed > _LIMIT_S:
            raise TimedOut(
                f"the exchange of NVIDIA's driver is still at work after {elapsed / 60:.0f} min",
                hint=f"it goes on on the node: journalctl -u {UNIT}, {_FOLDER}/log",
            )
        tell(f"the exchange is at work on the node, {elapsed:.0f} s so far")
