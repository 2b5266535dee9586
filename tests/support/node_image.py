"""The image of the tests' node: Debian with LXC and a sshd, made once for each recipe and kept."""

import asyncio
import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import lab

from phoenix_hypervisor.drivers.incus import handover

DEBIAN = "phoenix/debian-13/1"
FILES = Path(__file__).with_name("node_files")
_PREFIX = "phoenix-tests/node/"
_PROGRAMS = {
    "guest.sh": "phx-guest",
    "plug.py": "phx-plug",
    "pct.sh": "pct",
    "pvesh.py": "pvesh",
    "begin.sh": "phx-begin",
}
_BUILDER = "builder"


def handed() -> handover.Handover:
    """What this machine knows of mirrors and certificates."""
    return asyncio.run(handover.collect("trixie", "debian"))


def ensure(corner: lab.Lab, address: str) -> str:
    """The image's name; where there is none yet, it is made in the corner, which takes a minute."""
    given = handed()
    base = lab.query(f"/1.0/images/aliases/{DEBIAN}")["target"]
    parts = [given.digest.encode(), base.encode(), (FILES / "build.sh").read_bytes()]
    alias = _PREFIX + hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    with _alone():
        if alias not in _aliases():
            _build(corner, address, given, alias)
            for other in _aliases():
                if other.startswith(_PREFIX) and other != alias:
                    lab.incus("image", "delete", other)
    return alias


def launch(corner: lab.Lab, image: str, name: str, address: str) -> None:
    """Starts a container of an image with a static address. It is as trusted as a real node."""
    project = f"--project={corner.name}"
    settings = {
        "security.privileged": "true",
        "security.nesting": "true",
        "boot.autostart": "false",
    }
    config = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    lab.incus("init", project, image, name, "--no-profiles", "-s", corner.name, *config)
    lab.incus(
        "config", "device", "add", project, name, "eth0",
        "nic", "nictype=bridged", f"parent={corner.name}", "name=eth0",
    )  # fmt: skip
    for number, folder in enumerate(handed().folders):
        lab.incus(
            "config", "device", "add", project, name, f"given-{number}",
            "disk", f"source={folder}", f"path={folder}", "readonly=true",
        )  # fmt: skip
    gateway = f"{corner.subnet()}.1"
    push(
        corner,
        name,
        "/etc/systemd/network/05-node.network",
        f"[Match]\nName=eth0\n\n[Network]\nAddress={address}/24\nGateway={gateway}\n",
    )
    push(corner, name, "/etc/resolv.conf", f"nameserver {gateway}\n")
    for file, program in _PROGRAMS.items():
        push(corner, name, f"/usr/local/bin/{program}", (FILES / file).read_bytes(), "0755")
    lab.incus("start", project, name)


def push(corner: lab.Lab, name: str, path: str, text: str | bytes, mode: str = "0644") -> None:
    """Writes a file in a container, running or not."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode() if isinstance(text, str) else text)
        file.flush()
        lab.incus(
            "file", "push", f"--project={corner.name}", "--uid=0", "--gid=0", f"--mode={mode}",
            "--create-dirs", file.name, f"{name}{path}",
        )  # fmt: skip


def inside(corner: lab.Lab, name: str, script: str, *words: str) -> str:
    """What a bash script in a container prints; it must succeed."""
    project = f"--project={corner.name}"
    return lab.incus("exec", project, name, "-T", "--", "bash", "-euc", script, "bash", *words)


def _build(corner: lab.Lab, address: str, given: handover.Handover, alias: str) -> None:
    project = f"--project={corner.name}"
    launch(corner, DEBIAN, _BUILDER, address)
    for path, content in given.files.items():
        push(corner, _BUILDER, path, content, f"{handover.mode(content):04o}")
    inside(
        corner,
        _BUILDER,
        "for _ in $(seq 100); do ip route | grep -q default && exit; sleep .1; done",
    )
    inside(corner, _BUILDER, (FILES / "build.sh").read_text())
    folders = "".join(f"{folder}\n" for folder in given.folders)
    push(corner, _BUILDER, "/etc/phx-folders", folders)
    lab.incus("stop", project, _BUILDER)
    lab.incus("publish", project, _BUILDER, "--alias", alias, "--compression=zstd", "--reuse")
    lab.incus("delete", project, _BUILDER)


def _aliases() -> set[str]:
    return {alias["name"] for alias in lab.query("/1.0/images/aliases?recursion=1")}


@contextmanager
def _alone() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / "phoenix-tests-node.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
