"""`drift --deep` over a stack: after an apply, after a rollback by hand, and back again."""

import time
from collections.abc import Iterator

import pytest
from tests.e2e.stack import Stack, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("e")
    words = {
        "name": "cache",
        "template": "debian-13-standard",
        "features": ["redis"],
        "redis": {"memory_mb": 64},
        "application_script": "note.sh",
    }
    made = write(tmp_path_factory.mktemp("drift") / "folder", corner, {"101": words})
    (made.folder / "note.sh").write_text("#!/bin/sh\necho noted >/root/note\n")
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def snapshot(stack: Stack, *words: str) -> None:
    lab.incus("snapshot", words[0], f"--project={stack.project}", "lxc-101", *words[1:])


def differences(stack: Stack) -> list[tuple[str, str]]:
    (guest,) = stack.json("drift", "--deep")["guests"]
    return [
        (one["kind"], one["what"])
        for feature in guest["features"]
        for one in feature["differences"]
        if not one["follows"]
    ]


def test_after_an_apply_nothing_differs(stack: Stack) -> None:
    assert stack.run("drift", "--deep", "--detailed-exitcode").returncode == 0
    begun = time.monotonic()
    text = stack.ok("drift", "--deep")
    assert time.monotonic() - begun < 30  # some two seconds on a quiet machine
    assert "cache) inside: as the files say" in text
    assert "a script can't be asked; it ran" in text


def test_a_rollback_by_hand_shows_what_is_old(stack: Stack) -> None:
    first = stack.json("drift", "--deep")["guests"][0]["features"][0]
    snapshot(stack, "create", "before")
    with stack.edit() as words:
        words["lxc_configs"]["101"]["redis"]["memory_mb"] = 96
    stack.ok("apply", "--yes")
    second = stack.json("drift", "--deep")["guests"][0]["features"][0]
    assert second["current"] is True
    assert second["run"] != first["run"]

    snapshot(stack, "restore", "before")
    time.sleep(1)
    stack.inside("cache", "until systemctl is-active -q redis-server; do sleep 0.2; done")
    found = stack.json("drift", "--deep")
    assert found["drift"] is True
    assert [change["action"] for change in found["changes"]] == ["configure"]
    redis, script = found["guests"][0]["features"]
    assert (redis["current"], redis["run"], redis["at"]) == (False, first["run"], first["at"])
    assert script["current"] is True
    told = next(one for one in redis["differences"] if one["kind"] == "file")
    assert told["what"] == "/etc/redis/phoenix.conf"
    assert [line for line in told["diff"].splitlines() if line[0] in "+-"] == [
        "-maxmemory 64mb",
        "+maxmemory 96mb",
    ]
    text = stack.ok("drift", "--deep")
    assert f"by the run {first['run']} (" in text
    assert ") with other options, files or code" in text
    assert stack.run("drift", "--deep", "--detailed-exitcode").returncode == 2

    stack.ok("apply", "--yes")
    assert differences(stack) == []


def test_what_was_changed_by_hand_is_mended_by_reconfigure(stack: Stack) -> None:
    stack.inside("cache", "sed -i s/allkeys/volatile/ /etc/redis/phoenix.conf")
    assert stack.run("drift", "--detailed-exitcode").returncode == 0  # from outside all is well
    assert differences(stack) == [("file", "/etc/redis/phoenix.conf")]
    text = stack.ok("drift", "--deep", "cache")
    assert "phoenix apply --reconfigure lxc/101" in text
    stack.ok("apply", "--yes", "--reconfigure", "101")
    assert differences(stack) == []


def test_a_stopped_guest_is_said_to_be_so(stack: Stack) -> None:
    lab.incus("stop", f"--project={stack.project}", "lxc-101", "--force")
    done = stack.run("drift", "--deep")
    assert done.returncode == 0, done.stderr
    assert "not asked, it is stopped" in done.stdout
    assert "not running" in done.stdout
    stack.ok("apply", "--yes")
