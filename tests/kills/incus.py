"""Real containers in a corner of this machine's Incus, behind a relay that can be cut."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.kills.folder import (
    CONFIGURED,
    EXPECTED,
    LEAVES,
    SNAPSHOTS,
    VOLUME_SNAPSHOTS,
    VOLUMES,
    Folder,
)
from tests.kills.relay import Relay
from tests.kills.world import Left
from tests.support import lab

SOCKETS = ("/run/incus/unix.socket", "/var/lib/incus/unix.socket")
# Processes that came in by `incus exec` are outside of what the guest's init system has started.
_INSIDE = """
for p in /proc/[0-9]*; do
  read -r where <$p/cgroup 2>/dev/null || continue
  case $where in */.lxc|*/.lxc/*) ;; *) continue ;; esac
  id=${p#/proc/}
  [ $id = $$ ] || echo "process: $(tr '\\0' ' ' <$p/cmdline 2>/dev/null)"
done
grep -lsz '^PHOENIX_RUN=' /proc/[0-9]*/environ 2>/dev/null | while read -r f; do
  id=${f%/environ}; id=${id#/proc/}
  echo "marked: $(ps -o etimes= -o args= -p $id)"
done
find / -xdev -name '.phoenix.*' 2>/dev/null | sed 's/^/file: /'
ls -A /run/phoenix 2>/dev/null | sed 's/^/run: /'
ls -A /tmp | grep -v -e ^systemd-private- -e '^\\.' | sed 's/^/tmp: /'
echo "proof: $(cat /root/proof 2>/dev/null)"
"""
_LONG_WORK = re.compile(r"marked: +[0-3] .*application_script 914 ")
"""Work that is young enough to be still there when the next apply comes to look."""
_TRIES = 20


class IncusWorld:
    """A context manager: it clears its corner at the end."""

    name = "incus"
    kinds: Mapping[str, int] = {
        "kill": 40, "worker": 14, "fork server": 6, "int": 12, "term": 6, "int twice": 8,
        "loss": 14,
    }  # fmt: skip

    def __init__(self, place: Path, letter: str = "k") -> None:
        self.corner = lab.Lab(letter)
        stack = self.corner.name
        self.folder = Folder(place / "folder", stack, stack, stack, self.corner.subnet())
        self.temporary = place / "tmp"
        self.temporary.mkdir()
        target = next(path for path in SOCKETS if Path(path).exists())
        self._relay = Relay(place / "incus.socket", target)

    def __enter__(self) -> Self:
        self._relay.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._relay.__exit__()
        lab.clear(self.corner.name)

    @property
    def environ(self) -> Mapping[str, str]:
        return {"INCUS_SOCKET": str(self._relay.path)}

    @contextmanager
    def lost(self) -> Iterator[None]:
        self._relay.cut()
        try:
            yield
        finally:
            self._relay.mend()

    def left(self) -> Left:
        instances = self._instances()
        half = [
            _address(one["name"])
            for one in instances
            if one["config"].get("user.phoenix.state") != "complete"
        ]
        busy = [
            _address(one["name"])
            for one in instances
            if one["status"] == "Running" and _LONG_WORK.search(self._look(one["name"]))
        ]
        return Left(half, busy)

    def flaws(self) -> list[str]:
        instances = self._instances()
        found = []
        names = sorted(one["name"] for one in instances)
        if names != (wanted := sorted(f"lxc-{ident}" for ident in EXPECTED)):
            found.append(f"guests {names}, not {wanted}")
        for one in instances:
            found += [f"{one['name']}: {flaw}" for flaw in self._flaws_of(one)]
        found += self._flaws_of_volumes(set(names))
        project = self.corner.name
        operations = lab.query(f"/1.0/operations?recursion=1&project={project}") or {}
        found += [f"still running: {one['description']}" for one in operations.get("running", [])]
        return found

    def _flaws_of(self, one: dict[str, Any]) -> Iterator[str]:
        ident, config = one["name"].partition("-")[2], one["config"]
        if config.get("user.phoenix.state") != "complete":
            yield "is not complete"
        if bool(config.get("user.phoenix.fingerprint")) != (ident in CONFIGURED):
            yield f"has the fingerprint {config.get('user.phoenix.fingerprint')!r}"
        snapshots = sorted(snapshot["name"] for snapshot in one["snapshots"] or ())
        if snapshots != SNAPSHOTS.get(ident, []):
            yield f"has the snapshots {snapshots}"
        if one["status"].lower() != EXPECTED.get(ident):
            yield f"is {one['status']}"
        elif ident in LEAVES:
            *lines, proof = self._look(one["name"]).splitlines()
            yield from lines
            wanted = self.folder.wanted_proof(ident)
            if wanted is not None and proof != f"proof: {wanted}":
                yield f"{proof}, not {wanted}"

    def _flaws_of_volumes(self, instances: set[str]) -> Iterator[str]:
        pool = self.corner.name
        wanted = {"custom": {*VOLUMES, *VOLUME_SNAPSHOTS}, "container": instances}
        volumes = lab.query(f"/1.0/storage-pools/{pool}/volumes?recursion=1&project={pool}")
        for kind, names in wanted.items():
            # A snapshot is listed as a volume of its own, behind a slash.
            there = {one["name"] for one in volumes if one["type"] == kind}
            if kind == "container":
                there = {name for name in there if "/" not in name}
            if there != names:
                yield f"{kind} volumes {sorted(there)}, not {sorted(names)}"

    def _instances(self) -> list[dict[str, Any]]:
        projects = {one["name"] for one in lab.query("/1.0/projects?recursion=1")}
        if self.corner.name not in projects:
            return []
        for _ in range(_TRIES):
            found: list[dict[str, Any]] = lab.query(
                f"/1.0/instances?recursion=2&project={self.corner.name}"
            )
            if all(one["config"] is not None for one in found):
                return found
            time.sleep(0.5)  # of one that changes just now Incus tells the name alone
        raise AssertionError(f"Incus can't read {[one['name'] for one in found]}")

    def _look(self, name: str) -> str:
        return lab.incus(
            "exec", f"--project={self.corner.name}", "-T", name, "--", "sh", "-s",
            stdin=_INSIDE, check=False,
        )  # fmt: skip


def _address(name: str) -> str:
    return name.replace("-", "/", 1)
