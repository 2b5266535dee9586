"""Ten clones of one template, made and started: by Phoenix, and by the `incus` commands."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.clock import Row, once, run, times
from tests.e2e.stack import LXC, Stack, write
from tests.support import lab

_CLONES, _AT_ONCE, _ROUNDS = 10, 4, 3
_LIMIT_S = 60.0
_READY = "until systemctl is-system-running | grep -qE 'running|degraded'; do sleep 0.1; done"


def rows(folder: Path) -> Iterator[Row]:
    """Both in turns, with the same parallelism, until the init system of each guest is up."""
    corner = lab.Lab("c")
    # As templates are: it has run once, so that what a first start does is done.
    template = {
        "template": "debian-13-standard",
        "application_script": "nothing.sh",
        "template_snapshot_name": "base",
    }
    clones = {str(101 + n): {"clone_from_ctid": "900"} for n in range(_CLONES)}
    ours, theirs = [], []
    try:
        stack = write(folder, corner, {"900": template, **clones})
        script = folder / "nothing.sh"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        stack.ok("apply", "--yes", "--target", "900")
        for _ in range(_ROUNDS):
            argv = ["apply", "--yes", "--parallel", str(_AT_ONCE)]
            ours.append(once(lambda: stack.ok(*argv)))  # noqa: B023 - it is called at once
            _remove(corner, [f"lxc-{ident}" for ident in clones])
            theirs.append(once(lambda: _by_hand(stack, list(clones))))
            _remove(corner, [f"by-hand-{ident}" for ident in clones])
    finally:
        lab.clear(corner.name)
    ratio = median(ours) / median(theirs)
    yield Row(f"{_CLONES} clones by a script of `incus` commands", median(theirs))
    what = f"{_CLONES} clones by `phoenix apply --parallel {_AT_ONCE}`"
    yield Row(what, median(ours), f"{times(ratio)} the script", ratio, goal=1.3)


def _by_hand(stack: Stack, idents: list[str]) -> None:
    """What a person's script does: copy, give an address, start, wait until it can be used."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda ident: _clone(stack, ident), idents))


def _clone(stack: Stack, ident: str) -> None:
    name, project = f"by-hand-{ident}", f"--project={stack.project}"
    words: Any = json.loads((stack.folder / LXC).read_text())
    network = words["lxc_configs"][ident]["network_config"]
    unit = f"[Match]\nName=eth0\n[Network]\nAddress={network['ip']}\nGateway={network['gw']}\n"
    address = network["ip"].partition("/")[0]
    run(["incus", "copy", project, "lxc-900/base", name])
    run(["incus", "config", "device", "set", project, name, "eth0", f"ipv4.address={address}"])
    where = f"{name}/etc/systemd/network/05-phoenix-eth0.network"  # in the place of its source's
    run(["incus", "file", "push", project, "--quiet", "--mode=0644", "-", where], stdin=unit)
    run(["incus", "start", project, name])
    run(["incus", "exec", project, "-T", name, "--", "sh", "-c", _READY])
    deadline = time.monotonic() + _LIMIT_S
    while address not in run(["incus", "query", _state(stack, name)]):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} has no address {address}")
        time.sleep(0.1)


def _state(stack: Stack, name: str) -> str:
    return f"/1.0/instances/{name}/state?project={stack.project}"


def _remove(corner: lab.Lab, names: list[str]) -> None:
    run(["incus", "delete", "--force", f"--project={corner.name}", *names])
