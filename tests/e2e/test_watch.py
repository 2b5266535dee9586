"""`phoenix watch` over real containers: what goes down is told at once, and what comes up again."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import Stack, write
from tests.kills.relay import Relay
from tests.support import lab
from tests.support.lab import incus
from tests.support.watching import Watching

from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.watch.store import Reader

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

WEB, PLAIN = Address("lxc/9811"), Address("lxc/9812")
UNIT = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server 8080
"""
SCRIPT = f"""\
#!/bin/sh
set -e
command -v python3 >/dev/null || {{ apt-get update; apt-get install --yes python3; }}
printf '%s' '{UNIT}' >/etc/systemd/system/pages.service
systemctl daemon-reload
systemctl start pages
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("x")
    template = {"template": "debian-13-standard", "features": []}
    pages = {"http": {"port": 8080, "name": "pages", "every_s": 0.5}}
    active = {"command": {"command": "systemctl is-active pages", "name": "unit", "every_s": 0.5}}
    made = write(
        tmp_path_factory.mktemp("watch") / "folder",
        corner,
        {
            "9811": {**template, "application_script": "pages.sh", "checks": [pages, active]},
            "9812": {
                **template,
                "checks": [{"command": {"command": "true", "name": "true", "every_s": 0.5}}],
            },
        },
    )
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts" / "pages.sh").write_text(SCRIPT)
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture
def watching(stack: Stack) -> Iterator[Watching]:
    with Watching(stack.argv("--json", "watch", "--observe-only"), stack.folder) as process:
        process.wait("watching", text="2 guests with 3 checks, on incus")
        settled(stack)
        yield process


def settled(stack: Stack) -> None:
    """Waits until each check has been asked anew and passed."""
    began, end = time.time(), time.monotonic() + 30
    while time.monotonic() < end:
        reader = Reader.open(stack.folder)
        latest = [] if reader is None else reader.latest()
        if reader is not None:
            reader.close()
        if len([one for one in latest if one.at > began and one.health == "up"]) == 3:
            return
        time.sleep(0.1)
    raise AssertionError(latest)


def sh(stack: Stack, address: Address, script: str) -> None:
    name = address.replace("/", "-")
    incus("exec", f"--project={stack.project}", name, "--", "sh", "-c", script, check=False)


def test_a_service_that_goes_is_told_within_two_seconds_and_its_return_too(
    stack: Stack, watching: Watching
) -> None:
    before, began = watching.count, time.time()
    sh(stack, WEB, "systemctl kill --signal=KILL pages")
    told = watching.wait("down", WEB)
    assert told["at"] - began < 2.0
    assert told["message"].startswith(("pages: connection refused", "unit: expected exit status 0"))
    sh(stack, WEB, "systemctl start pages")
    back = watching.wait("up", WEB)
    assert back["message"].startswith("after ")
    assert {line["guest"] for line in watching.lines[before:]} == {WEB}


def test_a_guest_that_halts_is_told_within_a_second_and_watched_again_when_it_is_back(
    stack: Stack, watching: Watching
) -> None:
    name = PLAIN.replace("/", "-")
    state = f"/1.0/instances/{name}/state?project={stack.project}"
    init = lab.query(state)["pid"]
    began = time.time()
    os.kill(init, 9)
    told = watching.wait("down", PLAIN)
    assert told["message"] == "it is stopped"
    assert told["at"] - began < 2.0  # most of it is what Incus itself needs
    incus("start", f"--project={stack.project}", name)
    watching.wait("up", PLAIN)


def test_a_guest_that_somebody_pauses_and_one_that_was_never_made(
    stack: Stack, watching: Watching
) -> None:
    path, name = stack.folder / "phoenix_lxc_configs.json", PLAIN.replace("/", "-")
    good, before = path.read_text(), watching.count
    try:
        with stack.edit() as words:
            later = json.loads(json.dumps(words["lxc_configs"]["9812"]).replace(".11/", ".12/"))
            words["lxc_configs"]["9813"] = later | {"name": "later"}
        watching.wait("watching", text="3 guests", after=before)
        incus("pause", f"--project={stack.project}", name)
        told = watching.wait("down", PLAIN, after=before)
        assert told["message"] == "it is paused", watching.lines
        assert " paused it: it stays so until" in watching.wait("held", PLAIN)["message"]
        assert "it stays so until somebody lets it go on" in stack.ok("status")
        incus("resume", f"--project={stack.project}", name)
        watching.wait("up", PLAIN, after=before)
        assert {line["guest"] for line in watching.lines[before:]} == {None, PLAIN}
    finally:
        before = watching.count
        path.write_text(good)
    watching.wait("watching", text="2 guests", after=before)


def test_an_apply_that_restarts_a_guest_is_planned_and_no_failure(
    stack: Stack, watching: Watching
) -> None:
    with stack.edit() as words:
        words["lxc_configs"]["9812"]["unprivileged"] = True
        words["lxc_configs"]["9812"]["pct_options"] = ["nesting=1"]
    assert (PLAIN, "update", "restart") in stack.changes()
    watching.wait("watching", text="the files have changed")
    before = watching.count
    stack.ok("apply", "--yes")
    told = watching.wait("planned", PLAIN, after=before)
    assert "phoenix" in told["message"]
    watching.wait("up", PLAIN, after=before)
    assert "down" not in {line["event"] for line in watching.lines[before:]}
    reader = Reader.open(stack.folder)
    assert reader is not None
    assert reader.totals(PLAIN, 0, time.time() + 60).planned_s > 0.3
    reader.close()


def test_files_that_break_while_it_runs_change_nothing(stack: Stack, watching: Watching) -> None:
    path = stack.folder / "phoenix_lxc_configs.json"
    good = path.read_text()
    before = watching.count
    try:
        path.write_text(good[:-5])
        told = watching.wait("trouble", after=before)
        assert "phoenix_lxc_configs.json:" in told["message"]
    finally:
        path.write_text(good)
    watching.wait("watching", text="2 guests", after=before)


def test_a_second_watcher_is_refused_and_told_who_watches(stack: Stack, watching: Watching) -> None:
    done = stack.run("watch", "--for", "5")
    assert done.returncode == 1
    assert "is watched already, on incus" in done.stderr
    assert f"pid {watching.pid}" in done.stderr


def test_status_tells_how_long_ago_it_asked(stack: Stack, watching: Watching) -> None:
    status = stack.json("status")
    assert status["watched"] is True
    assert all(0 <= guest["last_check_s"] < 10 for guest in status["guests"])
    assert " s ago" in stack.ok("status")
    watching.end()
    status = stack.json("status")
    assert status["watched"] is False
    assert {guest["last_check_s"] for guest in status["guests"]} == {None}


def test_a_signal_ends_it_well_and_what_it_saw_is_kept(stack: Stack, watching: Watching) -> None:
    status, said = watching.end()
    assert (status, said) == (0, "")
    report = watching.lines[-1]
    assert report["event"] == "report"
    assert report["answered"] > 0
    reader = Reader.open(stack.folder)
    assert reader is not None
    assert reader.happenings()[0].what == "away"
    assert reader.totals(WEB, 0, time.time() + 60).up_s > 1
    reader.close()


def test_a_hypervisor_that_is_lost_makes_nobody_down(stack: Stack, tmp_path: Path) -> None:
    with Relay(tmp_path / "incus", Client(None, "default").socket) as relay:
        environ = {"INCUS_SOCKET": str(relay.path)}
        with Watching(stack.argv("--json", "watch", "--observe-only"), stack.folder, environ) as it:
            it.wait("watching", text="2 guests")
            settled(stack)
            relay.cut()
            told = it.wait("unknown", PLAIN)
            assert "Incus" in told["message"]
            began = time.time()
            sh(stack, WEB, "systemctl stop pages")
            assert it.wait("down", WEB)["at"] - began < 5.0
            relay.mend()
            it.wait("up", PLAIN)
            sh(stack, WEB, "systemctl start pages")
            it.wait("up", WEB)
            assert {line["event"] for line in it.lines if line["guest"] == PLAIN} == {
                "unknown",
                "up",
            }


def test_what_somebody_stops_stays_stopped_and_what_falls_is_picked_up(stack: Stack) -> None:
    project, name = f"--project={stack.project}", PLAIN.replace("/", "-")
    with Watching(stack.argv("--json", "watch"), stack.folder) as it:
        it.wait("watching", text="2 guests")
        settled(stack)
        sh(stack, WEB, "systemctl kill --signal=KILL pages")
        it.wait("down", WEB)
        incus("stop", "--force", project, name)
        told = it.wait("held", PLAIN)
        assert "root" in told["message"]
        incus("start", project, name)
        it.wait("up", PLAIN)
        before = it.count
        os.kill(lab.query(f"/1.0/instances/{name}/state?project={stack.project}")["pid"], 9)
        it.wait("heal", PLAIN, after=before)
        it.wait("up", PLAIN, after=before)
        it.wait("healed", PLAIN, after=before)
        status, said = it.end()
        assert (status, said) == (0, "")
        assert "gave-up" not in {line["event"] for line in it.lines}
