"""Snapshots and going back, on real containers: afterwards the plan shows exactly what is old."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.stack import Stack, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

SCRIPT = """#!/bin/sh
set -e
echo "$1" >/etc/version
echo "$1" >>/srv/data/versions
"""
GUESTS: dict[str, dict[str, Any]] = {
    "201": {
        "name": "web",
        "template": "debian-13-standard",
        "application_script": "version.sh",
        "application_script_args": ["one"],
        "zfs_volumes": [{"name": "data", "size_gb": 1, "mount_point": "/srv/data"}],
    },
    "202": {"name": "other", "template": "debian-13-standard"},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("g")
    made = write(tmp_path_factory.mktemp("rollback") / "folder", corner, GUESTS)
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts" / "version.sh").write_text(SCRIPT)
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def version(stack: Stack, word: str) -> None:
    """What the files want inside."""
    with stack.edit() as words:
        words["lxc_configs"]["201"]["application_script_args"] = [word]


def inside(stack: Stack) -> tuple[str, str]:
    return stack.inside("web", "cat /etc/version"), stack.inside("web", "cat /srv/data/versions")


def test_there_and_back_again(stack: Stack) -> None:
    stack.ok("snapshot", "web", "--name", "before")
    version(stack, "two")
    stack.ok("apply", "--yes")
    assert inside(stack) == ("two", "one\ntwo")
    stack.inside("web", "echo lost >/root/lost")

    said = stack.ok("rollback", "web", "before", "--yes")
    assert "its inside was configured since; the next apply does that again" in said
    assert inside(stack) == ("one", "one")  # it runs again; its volume went back too
    assert stack.inside("web", "ls /root") == ""

    assert stack.changes() == [("lxc/201", "configure", "live")]
    stack.ok("apply", "--yes")
    assert inside(stack) == ("two", "one\ntwo")
    assert stack.changes() == []


def test_back_by_hand_is_seen_too(stack: Stack) -> None:
    """Without Phoenix, and with what the files say now being what it was then."""
    where = ("--project", stack.project, "lxc-201")
    version(stack, "three")
    stack.ok("apply", "--yes")
    lab.incus("snapshot", "restore", *where, "before")
    assert [address for address, *_ in stack.changes()] == ["lxc/201"]
    version(stack, "one")
    assert stack.changes() == []
    assert stack.inside("web", "cat /etc/version") == "one"


def test_what_is_there_is_listed_and_deleted(stack: Stack) -> None:
    stack.ok("snapshot", "web", "other")
    web, other = stack.json("snapshot", "--list")["guests"]
    names = [one["name"] for one in web["snapshots"]]
    assert names[0] == "before"
    assert [one["name"] for one in other["snapshots"]] == names[1:]
    assert all(one["ours"] and one["whole"] for one in web["snapshots"])
    stack.ok("snapshot", "web", "--delete", names[1])
    (left,) = stack.json("snapshot", "--list", "web")["guests"]
    assert [one["name"] for one in left["snapshots"]] == ["before"]


def test_estimates_are_those_of_this_machine(stack: Stack) -> None:
    first = stack.json("history")["runs"][-1]
    events = stack.json("history", first["id"])["run"]["events"]
    at = {(e["address"], e["step"], e["event"]): e["elapsed_s"] for e in events}
    key = ("lxc/202", "start")
    took = at[*key, "finished"] - at[*key, "started"]
    lab.incus("stop", "--force", "--project", stack.project, "lxc-202")
    (change,) = (c for c in stack.json("plan")["changes"] if c["address"] == "lxc/202")
    assert change["action"] == "start"
    assert change["estimate_s"] == pytest.approx(took, abs=0.11)
