"""A folder of the examples, moved to the real node: ids, addresses, storage, bridge and target."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pve.node import PveKit, Setting

ROOT = Path(__file__).parent.parent.parent
PHOENIX = Path(sys.executable).with_name("phoenix")
LXC = "phoenix_lxc_configs.json"
HYPERVISOR = "phoenix_hypervisor_config.json"


@dataclass(frozen=True)
class NodeFolder:
    """A folder and the command line over it, on the node."""

    path: Path
    environ: Mapping[str, str]

    def run(self, *words: str, limit_s: float = 1500) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; never asks."""
        return subprocess.run(
            [str(PHOENIX), "--dir", str(self.path), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            env=dict(self.environ),
        )

    def ok(self, *words: str) -> str:
        """Runs a command that must succeed; what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        """The document that a command prints with --json."""
        return json.loads(self.ok("--json", *words))

    def changes(self) -> list[tuple[str, str, str]]:
        """What a plan would do: address, action, impact."""
        return [(c["address"], c["action"], c["impact"]) for c in self.json("plan")["changes"]]

    def words(self, file: str = LXC) -> Any:
        """A file's content."""
        return json.loads((self.path / file).read_text())

    def write(self, words: Any, file: str = LXC) -> None:
        """Writes a file."""
        (self.path / file).write_text(json.dumps(words, indent=1))


def hypervisor(setting: Setting, stack: str) -> dict[str, Any]:
    """The words of `hypervisor` for the node."""
    target = setting.target()
    words: dict[str, Any] = {
        "driver": "proxmox",
        "stack": stack,
        "endpoint": target.endpoint,
        "node": target.node,
        "token_id": target.token_id,
        "token_secret": {"secret": "PHOENIX_PVE_TOKEN_SECRET"} if target.token_id else None,
        "username": target.username,
        "password": {"secret": "PHOENIX_PVE_PASSWORD"} if target.username else None,
        "ca_file": target.ca_file,
        "fingerprint": target.fingerprint,
    }
    return {key: value for key, value in words.items() if value is not None}


def quickstart(kit: PveKit, path: Path, first: int) -> NodeFolder:
    """The quickstart with ids from the range's number `first` on, and nothing else changed but
    what tells where it lives.
    """
    ignored = shutil.ignore_patterns(".phoenix*", "__pycache__")
    shutil.copytree(ROOT / "examples" / "quickstart", path, ignore=ignored)
    gateway = kit.cidr.partition("/")[0]
    moved = {
        "phoenix-quickstart": kit.pool,
        "phxquick0": kit.bridge,
        "debian-13-standard": kit.template,
        '10.98.76.1"': f'{gateway}"',
    }
    for number, ident in enumerate(("900", "101", "102", "103", "104")):
        moved |= {f'"{ident}"': f'"{kit.id(first + number)}"'}
    for number, ip in enumerate((90, 11, 12, 13, 14)):
        moved |= {f"10.98.76.{ip}/24": kit.ip(first + number)}
    for file in (LXC,):
        text = (path / file).read_text()
        for old, new in moved.items():
            text = text.replace(old, new)
        (path / file).write_text(text)
    words = json.loads((path / HYPERVISOR).read_text())
    words["hypervisor"] = hypervisor(kit.setting, "phoenix-quickstart")
    (path / HYPERVISOR).write_text(json.dumps(words, indent=1))
    secret = path / ".phoenix-secrets.env"
    secret.touch(mode=0o600)
    secret.write_text("PORTFOLIO_DB_PASSWORD=of-the-test-7\nLLM_API_KEY=of-the-test-8\n")
    return NodeFolder(path, kit.environ)
