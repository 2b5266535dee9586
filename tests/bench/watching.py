"""Two thousand checks every five seconds: the whole `phoenix watch`, with real connections.

The guests are simulated, what their checks ask is not: a server on loopback. The watcher and that
server go before other programs where that is allowed, so that a busy machine is not what is
measured.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.clock import Row, run
from tests.e2e.stack import HYPERVISOR, LXC, PHOENIX, ROOT
from tests.support.watching import Watching

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.watch.store import Reader

GUESTS = 400
CHECKS = 5
_SERVER = ROOT / "tests" / "support" / "page_server.py"
_FIRST = ("nice", "-n", "-15") if os.geteuid() == 0 else ()
_WARM_S = 8.0
_TICKS = os.sysconf("SC_CLK_TCK")
CPU, MEMORY_MB, LATE_S = 0.5, 300.0, 1.0
"""What a watcher may take of one core, of memory, and how late 1 of 100 questions may be."""


@dataclass(frozen=True)
class Measured:
    """`cpu` is the share of one core, `late_s` what 99 of 100 questions stay below."""

    cpu: float
    memory_mb: float
    late_s: float
    answered: int
    up: int


def rows(folder: Path) -> Iterator[Row]:
    """A minute of it."""
    found = measure(folder, 60.0)
    many = f"{GUESTS * CHECKS} checks every 5 s"
    yield Row(f"{many}: processor, each second", found.cpu, f"{found.cpu:.0%}", found.cpu, goal=CPU)
    yield Row(
        f"{many}: 99 of 100 are asked at most so late",
        found.late_s,
        f"{found.memory_mb:.0f} MB of memory",
        found.late_s,
        goal=LATE_S,
    )


def measure(folder: Path, seconds: float) -> Measured:
    """Watches for so many seconds after a start of some."""
    folder.mkdir(parents=True, exist_ok=True)
    environ = {"PHOENIX_SIM_STATE": str(folder / "node.json")}
    argv = [str(PHOENIX), "--dir", str(folder), "--on", "sim", "--json"]
    with _server() as port:
        _write(folder, port)
        run([*argv, "apply", "--yes"], environ)
        with Watching([*_FIRST, *argv, "watch", "--observe-only"], folder, environ) as watching:
            _hurry(watching.pid)
            watching.wait("watching", text=f"{GUESTS} guests with {GUESTS * CHECKS} checks")
            time.sleep(_WARM_S)
            begin, before = time.monotonic(), _spent(watching.pid)
            time.sleep(seconds)
            cpu = (_spent(watching.pid) - before) / (time.monotonic() - begin)
            memory = _memory_mb(watching.pid)
            status, said = watching.end()
            assert (status, said) == (0, ""), said
            report = watching.lines[-1]
    return Measured(cpu, memory, report["late_p99_s"], report["answered"], _up(folder))


def _write(folder: Path, port: int) -> None:
    asked = {"address": "127.0.0.1", "port": port}
    checks = [{"tcp": {**asked, "name": f"port {number}"}} for number in range(3)]
    checks += [{"http": {**asked, "name": f"page {number}", "contains": "ok"}} for number in (1, 2)]
    guests = {
        str(1000 + number): {
            "name": f"guest{number}",
            "cores": 1,
            "memory_mb": 64,
            "storage_pool": "local",
            "storage_size_gb": 1,
            "template": "debian-13-standard",
            "network_config": {
                "name": "eth0",
                "bridge": "vmbr9",
                "ip": f"10.77.{number // 200}.{number % 200 + 2}/16",
                "gw": "10.77.255.254",
            },
            "checks": checks,
        }
        for number in range(GUESTS)
    }
    (folder / LXC).write_text(json.dumps({"lxc_configs": guests}))
    (folder / HYPERVISOR).write_text(json.dumps({"hypervisor": {"stack": "many"}}))


@contextmanager
def _server() -> Iterator[int]:
    with subprocess.Popen(
        [*_FIRST, sys.executable, str(_SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        _hurry(server.pid)
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def _hurry(pid: int) -> None:
    """As `nice` for a whole session, which the kernel may treat as one. Source: sched(7)."""
    group = Path(f"/proc/{pid}/autogroup")
    if _FIRST and group.exists():
        group.write_text(_FIRST[-1])


def _spent(pid: int) -> float:
    """Seconds of the processor that a process has used. Source: proc(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int) -> float:
    """The most that was resident at any time."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _up(folder: Path) -> int:
    """How many checks said yes last, by what was kept."""
    reader = Reader.open(folder)
    assert reader is not None
    try:
        assert reader.totals(Address("lxc/1000"), 0, time.time() + 60).up_s > 0
        return sum(answer.health == "up" for answer in reader.latest())
    finally:
        reader.close()
