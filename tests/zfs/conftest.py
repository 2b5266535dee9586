"""A node with real ZFS for a test process, and `phoenix host` on it, for each test afresh."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support import zfs_lab

PHOENIX = Path(sys.executable).with_name("phoenix")


@dataclass
class Host:
    """The node, and a folder whose files are about it."""

    node: zfs_lab.ZfsNode
    folder: Path
    words: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Only one apply works on a stack: each test process has its own.
        self.words["hypervisor"] = {"driver": "incus", "stack": self.node.folder.name}

    def pool(self, name: str, level: str, *disks: zfs_lab.LoopDisk) -> None:
        """Adds a pool to the files."""
        one = {"name": name, "raid_level": level, "disks": [disk.path for disk in disks]}
        self.words.setdefault("zfs", {}).setdefault("pools", []).append(one)

    def dataset(self, pool: str, name: str, properties: str = "", **more: str) -> dict[str, str]:
        """Adds a dataset to the files."""
        one = {"name": name, "pool": pool, "properties": properties, **more}
        self.words.setdefault("zfs", {}).setdefault("datasets", []).append(one)
        return one

    def phoenix(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs `phoenix host …` on the files as they are now."""
        file = self.folder / "phoenix_hypervisor_config.json"
        file.write_text(json.dumps(self.words))
        return subprocess.run(
            [str(PHOENIX), "host", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PHOENIX_NODE_SHELL": self.node.shell, **self.environ},
            timeout=120,
            check=False,
        )

    def apply(self, *options: str) -> str:
        """Applies, which must end well; what it printed."""
        done = self.phoenix("apply", "--yes", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def plan(self, *options: str) -> str:
        """The plan, which must be possible."""
        done = self.phoenix("plan", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *options: str) -> str:
        """What an apply says that changes nothing."""
        applied = self.phoenix("apply", "--yes", *options)
        assert applied.returncode == 1, applied.stdout
        assert "nothing was changed" in applied.stderr
        return applied.stderr

    def settled(self) -> None:
        """A plan now is empty."""
        done = self.phoenix("plan", "--detailed-exitcode")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr

    def properties(self, dataset: str) -> Mapping[str, str]:
        """Exact values, as `zfs` tells them."""
        rows = self.node.run(f"zfs get -Hp -o name,property,value all {dataset}").splitlines()
        return {row.split("\t")[1]: row.split("\t")[2] for row in rows}


@pytest.fixture(scope="session")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zfs_lab.ZfsNode]:
    with zfs_lab.started(tmp_path_factory.mktemp("zfs")) as node:
        yield node


@pytest.fixture
def host(_node: zfs_lab.ZfsNode, tmp_path: Path) -> Iterator[Host]:
    """No pool and no disk is there at first."""
    folder = tmp_path / "folder"
    folder.mkdir()
    yield Host(_node, folder)
    _node.clear()
