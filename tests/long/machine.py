"""A fresh machine for `make up`: a nested container that knows this checkout and nothing else."""

import json
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.lab import Lab, clear, incus, query

from phoenix_hypervisor.drivers.incus.handover import Handover
from phoenix_hypervisor.drivers.incus.images import release

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = "debian-13-standard"
CLONE = "/root/phoenix"
# As a container engine starts a privileged container: all devices, all cgroups, any program as 1.
_LIKE_AN_ENGINE = """\
lxc.init.cmd = /bin/sleep infinity
lxc.cgroup.devices.allow = a
lxc.cgroup2.devices.allow = a
lxc.mount.auto = proc:rw sys:rw cgroup:rw:force
"""


@dataclass(frozen=True)
class Machine:
    """One nested container with git, make and python3, and a clone of this repository."""

    lab: Lab

    def run(self, script: str, *, limit_s: float = 900) -> subprocess.CompletedProcess[str]:
        """Runs a script in the clone."""
        where = ("exec", "--project", self.lab.name, "machine", "--cwd", CLONE)
        return subprocess.run(
            ["incus", *where, "--", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def ok(self, script: str) -> str:
        """Runs a script that must succeed; what it printed."""
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@contextmanager
def machine(letter: str, handed: Handover, *, privileged: bool) -> Iterator[Machine]:
    """Makes one, and removes it with all that it held."""
    corner = Lab(letter)
    clear(corner.name)
    try:
        _make(corner, handed, privileged=privileged)
        made = Machine(corner)
        _set_up(made, corner)
        yield made
    finally:
        clear(corner.name)


def _make(corner: Lab, handed: Handover, *, privileged: bool) -> None:
    name, project = corner.name, ("--project", corner.name)
    features = [f"-cfeatures.{one}=false" for one in ("images", "networks", "profiles")]
    incus("project", "create", name, *features)
    incus("storage", "create", name, "btrfs", "size=12GiB")
    addresses = (f"ipv4.address={corner.subnet()}.1/24", "ipv4.nat=true", "ipv6.address=none")
    incus("network", "create", name, *addresses)
    config = {"limits.memory": "8GiB"}
    if privileged:
        config |= {"security.privileged": "true", "security.nesting": "true"}
        config |= {"raw.lxc": _LIKE_AN_ENGINE}
    devices = {
        "root": {"type": "disk", "path": "/", "pool": name},
        "eth0": {"type": "nic", "nictype": "bridged", "parent": name, "name": "eth0"},
    }
    for number, folder in enumerate(handed.folders):
        where = {"source": str(folder), "path": str(folder), "readonly": "true"}
        devices[f"folder{number}"] = {"type": "disk", **where}
    if privileged:
        for node in (Path("/dev/loop-control"), *Path("/dev").glob("loop[0-9]*")):
            kind = "unix-char" if node.is_char_device() else "unix-block"
            devices[node.name] = {"type": kind, "source": str(node), "path": str(node)}
    words = {"config": config, "devices": devices, "profiles": []}
    incus(
        "init", release(TEMPLATE).alias, "machine", *project, "--no-profiles",
        stdin=json.dumps(words),
    )  # fmt: skip
    for path, content in handed.files.items():
        _push(corner, path, content)


def _set_up(made: Machine, corner: Lab) -> None:
    project = f"--project={corner.name}"
    incus("start", project, "machine")
    network = (
        f"ip addr add {corner.subnet()}.60/24 dev eth0 && ip link set eth0 up\n"
        f"ip route add default via {corner.subnet()}.1\n"
        f"echo nameserver {corner.subnet()}.1 >/etc/resolv.conf\n"
        "while [ -d /run/systemd/system ] && ! systemctl is-system-running | grep -Eq 'g'; do\n"
        "  sleep 0.2\ndone\n"
        "update-ca-certificates\n"
        "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -yqq git make python3\n"
    )
    incus("exec", project, "machine", "--", "sh", "-c", network)
    bundle = subprocess.run(
        ["git", "-C", str(ROOT), "bundle", "create", "-", "HEAD"], capture_output=True, check=True
    ).stdout
    _push(corner, "/root/phoenix.bundle", bundle)
    script = f"git clone -q /root/phoenix.bundle {CLONE}"
    incus("exec", project, "machine", "--", "sh", "-c", script)
    assert query(f"/1.0/instances/machine?project={corner.name}")["status"] == "Running"
    assert made.run("true").returncode == 0


def _push(corner: Lab, path: str, content: bytes) -> None:
    argv: Sequence[str] = (
        "incus", "file", "push", "-q", "-p", "--project", corner.name, "-",
        f"machine{shlex.quote(path)}", "--mode", "644",
    )  # fmt: skip
    subprocess.run(argv, input=content, check=True, timeout=120)
