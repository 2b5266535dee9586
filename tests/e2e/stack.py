"""A copy of a folder in a corner of its own, and the real command line over it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.lab import Lab

ROOT = Path(__file__).parent.parent.parent
PHOENIX = Path(sys.executable).with_name("phoenix")
LXC = "phoenix_lxc_configs.json"
HYPERVISOR = "phoenix_hypervisor_config.json"


@dataclass(frozen=True)
class Stack:
    """A folder that lives in one corner of the lab."""

    folder: Path
    lab: Lab

    @property
    def project(self) -> str:
        return self.lab.name

    def argv(self, *words: str) -> list[str]:
        return [str(PHOENIX), "--dir", str(self.folder), "--on", "incus", *words]

    def run(self, *words: str, limit_s: float = 420) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; never asks."""
        return subprocess.run(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own."""
        return subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ok(self, *words: str) -> str:
        """Runs a command that must succeed; what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        """The document that a command prints with --json."""
        return json.loads(self.run("--json", *words).stdout)

    def changes(self, *words: str) -> list[tuple[str, str, str]]:
        """What a plan would do: address, action, impact."""
        plan = self.json("plan", *words)
        return [(c["address"], c["action"], c["impact"]) for c in plan["changes"]]

    def inside(self, guest: str, script: str) -> str:
        """What a script prints in a guest."""
        return self.ok("exec", guest, "--", "sh", "-c", script).strip()

    def edit(self, file: str = LXC) -> "Edit":
        """A file of the folder as JSON; written back when the block ends."""
        return Edit(self.folder / file)


class Edit:
    """Changes a JSON file: `with stack.edit() as words: words[…] = …`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._words: Any = None

    def __enter__(self) -> Any:
        self._words = json.loads(self._path.read_text())
        return self._words

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._path.write_text(json.dumps(self._words, indent=1))


def copy_of(source: Path, target: Path, lab: Lab, replaced: Mapping[str, str]) -> Stack:
    """Copies a folder, with its subnet, bridge and pool replaced by the corner's own."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".phoenix*", "__pycache__"))
    for path in target.glob("phoenix_*.json"):
        text = path.read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        path.write_text(text)
    stack = Stack(target, lab)
    with stack.edit(HYPERVISOR) as words:
        words["hypervisor"] |= {"stack": lab.name, "project": lab.name}
    return stack


def write(target: Path, lab: Lab, guests: Mapping[str, Any]) -> Stack:
    """A folder with these containers, each with the corner's pool and bridge."""
    target.mkdir(parents=True)
    subnet = lab.subnet()
    hypervisor = {
        "driver": "incus",
        "stack": lab.name,
        "project": lab.name,
        "pools": {lab.name: {"size_gb": 6}},
    }
    (target / HYPERVISOR).write_text(json.dumps({"hypervisor": hypervisor}))
    containers = {}
    for number, (ident, words) in enumerate(guests.items()):
        network = {"name": "eth0", "bridge": lab.name, "ip": f"{subnet}.{number + 10}/24"}
        containers[ident] = {
            "name": f"guest{ident}",
            "cores": 1,
            "memory_mb": 256,
            "storage_pool": lab.name,
            "storage_size_gb": 3,
            "network_config": network | {"gw": f"{subnet}.1"},
            **words,
        }
    (target / LXC).write_text(json.dumps({"lxc_configs": containers}))
    return Stack(target, lab)


def environ_secrets(folder: Path, **values: str) -> None:
    """Writes secrets as `make up` does."""
    path = folder / ".phoenix-secrets.env"
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
