"""What is done to the stacks, by the hypervisor's own tools and the machine's: never by Phoenix.

Nothing here mends what it has done.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.order import Target
from tests.e2e.stack import Stack
from tests.support import lab

WEB = Target("quickstart", 103, "web", "nginx.service")
DB = Target("quickstart", 101, "db", "postgresql@17-main.service")
API = Target("quickstart", 102, "api", "portfolio-api.service")
LLM = Target("quickstart", 104, "llm", "phoenix-llama-chat.service")
EMBEDDINGS = Target("quickstart", 104, "llm", "embeddings.service")
# The proxy before the replicas is none itself: without it nobody can be led to them.
HELLO_1 = Target("replicas", 950, "hello-1", "hello.service")
HELLO_2 = Target("replicas", 951, "hello-2", "hello.service")

GUESTS = (WEB, DB, API, LLM, HELLO_1, HELLO_2)
SERVICES = (*GUESTS, EMBEDDINGS)
HIT: Mapping[str, Sequence[Target]] = {
    "service killed": SERVICES,
    "init killed": GUESTS,
    "halted": GUESTS,
    "disk filled": GUESTS,
    "frozen": SERVICES,
    "network cut": GUESTS,
}
_LIMIT_S = 60.0
_TICK_S = 0.05
_NOW = "date +%s.%N"
# As an upgrade that ran away leaves it. What is allotted counts as used at once; the rest, of less
# than a block, is written. It goes on for a minute, so that it takes what others give back as well,
# and ends when its file is gone.
_FILL = """
file=/var/cache/apt/archives/runaway.deb
fill() {
  for piece in 256M 16M 1M 64K 4K; do
    while fallocate --offset $(stat -c %s $file) --length $piece $file 2>/dev/null; do :; done
  done
  dd if=/dev/zero of=$file bs=512 oflag=append conv=notrunc,nocreat 2>/dev/null
}
"""
_GO_ON = "for turn in $(seq 120); do [ -e $file ] || exit 0; fill; sleep 0.5; done"
# A full disk hurts a database when it writes, and others at the latest when they begin again.
_WRITE = "timeout 20 runuser -u postgres -- psql -qc 'select pg_switch_wal()' -c checkpoint"
_BEGIN_AGAIN = "timeout 20 systemctl restart {unit}"
# Twice, since for a moment there may be room while the disk is still being filled.
_TAKES = """
for turn in 1 2; do
  head -c 1048576 /dev/zero >/var/tmp/room; status=$?
  rm -f /var/tmp/room
  [ $status = 0 ] || exit 1
  [ $turn = 2 ] || sleep 1.2
done
"""


def strike(kind: str, stack: Stack, target: Target) -> float:
    """Does it; the moment when it was done, in Unix time."""
    return _DO[kind](stack, target)


def takes(stack: Stack, target: Target) -> bool:
    """Whether the guest's disk takes a MiB; False where nobody in it answers."""
    return not _inside(stack, target, _TAKES).returncode


def _killed(stack: Stack, target: Target) -> float:
    return _signal(stack, target, "KILL", "! kill -0 $main 2>/dev/null")


def _frozen(stack: Stack, target: Target) -> float:
    return _signal(stack, target, "STOP", "grep -q '^State:.T' /proc/$main/status")


def _signal(stack: Stack, target: Target, name: str, proof: str) -> float:
    """Fails where the unit's main process (`$main`) does not show that it was hit."""
    unit = shlex.quote(target.unit)
    script = f"""
main=$(systemctl show -p MainPID --value {unit})
[ "$main" -gt 1 ] || exit 1
{_NOW}
systemctl kill --signal={name} {unit} && sleep 0.1 && {proof}
"""
    return _moment(stack, target, script)


def _init_killed(stack: Stack, target: Target) -> float:
    pid = int(_state(stack, target)["pid"])
    now = time.time()
    os.kill(pid, signal.SIGKILL)
    return now


def _halted(stack: Stack, target: Target) -> float:
    """Until it has ended; it may be gone before its answer has come."""
    init = Path("/proc", str(_state(stack, target)["pid"]))
    now = _moment(stack, target, f"{_NOW}; poweroff", check=False)
    while init.exists() and time.time() < now + _LIMIT_S:
        time.sleep(_TICK_S)
    return now


def _disk_filled(stack: Stack, target: Target) -> float:
    hurt = _WRITE if "postgresql" in target.unit else _BEGIN_AGAIN
    hurt = hurt.format(unit=shlex.quote(target.unit))
    go_on = f"systemd-run --quiet --collect sh -c {shlex.quote(_FILL + _GO_ON)}"
    script = f"{_FILL}: >$file; fill; {go_on}; {_NOW}; {hurt} >/dev/null 2>&1"
    return _moment(stack, target, script, check=False)


def _cut(stack: Stack, target: Target) -> float:
    """Takes the guest's card off the bridge, as this machine sees it."""
    card = _state(stack, target)["network"]["eth0"]["host_name"]
    now = time.time()
    subprocess.run(["ip", "link", "set", card, "down"], check=True)
    return now


def _state(stack: Stack, target: Target) -> Mapping[str, Any]:
    found: Mapping[str, Any] = lab.query(
        f"/1.0/instances/{target.instance}/state?project={stack.project}"
    )
    return found


def _moment(stack: Stack, target: Target, script: str, *, check: bool = True) -> float:
    """Runs what prints the moment first: guests share the machine's clock."""
    done = _inside(stack, target, script)
    if not done.stdout or (check and done.returncode):
        raise RuntimeError(f"{target.name}: {script.strip()}: {done.stdout}{done.stderr}")
    return float(done.stdout.split()[0])


def _inside(stack: Stack, target: Target, script: str) -> subprocess.CompletedProcess[str]:
    words = ("incus", "exec", "--project", stack.project, target.instance, "--", "sh", "-c", script)
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return subprocess.CompletedProcess(words, 124, said.decode(), "too late")


_DO: Mapping[str, Callable[[Stack, Target], float]] = {
    "service killed": _killed,
    "init killed": _init_killed,
    "halted": _halted,
    "disk filled": _disk_filled,
    "frozen": _frozen,
    "network cut": _cut,
}
