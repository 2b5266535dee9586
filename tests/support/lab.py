"""A corner of this machine's Incus for one test run: its own project, pool, bridge and subnet.

Everything is named with the run's process id, so that a later run finds and removes what a killed
one left behind, and touches nothing else.
"""

import contextlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAME = re.compile(r"^phxt(\d+)[a-z]")
_TRIES = 5


@dataclass(frozen=True)
class Lab:
    """Names that no other run uses. `letter` tells the corners of one run apart."""

    letter: str

    @property
    def name(self) -> str:
        """The project, pool and bridge (at most 15 characters, as interfaces need)."""
        return f"phxt{os.getpid()}{self.letter}"

    def subnet(self) -> str:
        """The first three bytes of a /24 that no other corner of this or another run has."""
        number = (os.getpid() * 26 + ord(self.letter) - ord("a")) % (100 * 256)
        return f"10.{100 + number // 256}.{number % 256}"


def incus(*words: str, check: bool = True, stdin: str | None = None) -> str:
    """Runs the Incus client and returns what it prints."""
    done = subprocess.run(
        ["incus", *words], input=stdin, text=True, capture_output=True, check=False, timeout=180
    )
    if check and done.returncode:
        raise AssertionError(f"incus {' '.join(words)}: {done.stderr}")
    return done.stdout


def query(path: str) -> Any:
    """A read of the REST API. Of a list with nothing in it the client prints nothing.

    A list fails where one of its entries is deleted just then: it is read again.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(AssertionError):
            return json.loads(incus("query", path) or "[]")
        time.sleep(0.2)
    return json.loads(incus("query", path) or "[]")


def clear(name: str) -> None:
    """Removes one corner: its guests, volumes, project, pool and bridge."""
    projects = {project["name"] for project in query("/1.0/projects?recursion=1")}
    if name in projects:
        for instance in query(f"/1.0/instances?recursion=1&project={name}"):
            _delete_instance(name, instance["name"])
    pools = {pool["name"] for pool in query("/1.0/storage-pools?recursion=1")}
    if name in pools:
        volumes = query(f"/1.0/storage-pools/{name}/volumes?recursion=1&all-projects=true")
        for volume in volumes:
            if volume["type"] == "custom" and "/" not in volume["name"]:  # else a snapshot of one
                project = f"--project={volume['project']}"
                incus("storage", "volume", "delete", project, name, volume["name"])
    if name in projects:
        incus("project", "delete", name)
    if name in pools:
        incus("storage", "delete", name)
    networks = {network["name"] for network in query("/1.0/networks?recursion=1")}
    if name in networks:
        _delete_network(name)


def _delete_instance(project: str, name: str) -> None:
    """One that is starting or ending just now can't be stopped: then it is tried again."""
    for _ in range(_TRIES - 1):
        incus("delete", "--force", "--project", project, name, check=False)
        if name not in {
            one["name"] for one in query(f"/1.0/instances?recursion=1&project={project}")
        }:
            return
        time.sleep(0.5)
    incus("delete", "--force", "--project", project, name)


def _delete_network(name: str) -> None:
    """The kernel takes the cards of guests that went just now away a little later."""
    for _ in range(_TRIES - 1):
        incus("network", "delete", name, check=False)
        if name not in {network["name"] for network in query("/1.0/networks?recursion=1")}:
            return
        time.sleep(0.5)
    incus("network", "delete", name)


def clear_after_killed_runs() -> None:
    """Removes the corners of runs whose process is gone."""
    found = {one["name"] for one in query("/1.0/projects?recursion=1")}
    found |= {one["name"] for one in query("/1.0/storage-pools?recursion=1")}
    found |= {one["name"] for one in query("/1.0/networks?recursion=1") if one["managed"]}
    for name in sorted(found):
        match = _NAME.match(name)
        if match and not Path(f"/proc/{match[1]}").exists():
            clear(name)
