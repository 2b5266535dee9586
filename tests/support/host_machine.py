"""A container that plays the host, and the real command line that sets it up from files."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.stack import HYPERVISOR, PHOENIX
from tests.support.featurebench import Bench


@dataclass
class HostMachine:
    """A guest of a bench that `phoenix host` takes for its node. `words` are the host's file."""

    bench: Bench
    name: str
    folder: Path
    words: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    shell: str = "sh"
    """What becomes the root shell there."""

    def phoenix(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command over the folder as it is now."""
        begun = self.begin(*words)
        try:
            out, err = begun.communicate(timeout=420)
        except subprocess.TimeoutExpired:
            begun.kill()
            raise
        return subprocess.CompletedProcess(words, begun.returncode, out, err)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Starts a command, which goes on beside the test."""
        self.folder.mkdir(exist_ok=True)
        project = self.bench.corner.name
        told = {"hypervisor": {"driver": "incus", "stack": project, "project": project}}
        (self.folder / HYPERVISOR).write_text(json.dumps(told | self.words))
        instance = f"lxc-{self.bench.guests[self.name].id}"
        shell = f"incus exec --project {project} {instance} -T -- {self.shell}"
        return subprocess.Popen(
            [str(PHOENIX), "--dir", str(self.folder), *words],
            env=os.environ | self.secrets | {"PHOENIX_NODE_SHELL": shell},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def plan(self) -> dict[str, Any]:
        """The plan, as its document."""
        done = self.phoenix("--json", "host", "plan")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def pending(self) -> dict[str, dict[str, Any]]:
        """What a plan would change: the feature's name to its fields' new values."""
        return {
            change["address"].removeprefix("host/"): {
                one["path"]: one["after"] for one in change["fields"]
            }
            for change in self.plan()["changes"]
        }

    def apply(self) -> str:
        """Applies, and must end with nothing left to do; what it printed."""
        done = self.phoenix("host", "apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.plan()["changes"] == []
        return done.stdout + done.stderr

    def refused(self) -> str:
        """All that an apply says which must fail."""
        done = self.phoenix("host", "apply", "--yes")
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def sh(self, script: str, *, stdin: str = "") -> str:
        """What a shell script on the host prints; it must succeed."""
        return self.bench.sh(self.name, script, stdin=stdin)
