"""Healing on real containers: what breaks comes back by itself, and what a person stopped rests."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.stack import Stack, write
from tests.support import lab
from tests.support.heal_watch import Watch, watching

from phoenix_hypervisor.model.address import lxc

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

WEB, ANEW = lxc(951), lxc(952)
SCRIPT = "#!/bin/sh\necho made >/srv/made\n"
GUESTS: dict[str, dict[str, Any]] = {
    "951": {
        "name": "web",
        "template": "debian-13-standard",
        "features": ["nginx"],
        "heal": {"per_hour": 60, "settle_s": 4, "stable_s": 1},
    },
    "952": {
        "name": "anew",
        "template": "debian-13-standard",
        "application_script": "made.sh",
        "checks": [{"command": {"command": "test -e /srv/made"}}],
        "heal": {
            "steps": ["restart", "rollback", "recreate"],
            "snapshot": "good",
            "per_hour": 60,
            "settle_s": 2,
            "stable_s": 1,
        },
    },
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("y")
    made = write(tmp_path_factory.mktemp("heal") / "folder", corner, GUESTS)
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts" / "made.sh").write_text(SCRIPT)
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def pid_of(stack: Stack, guest: str) -> int:
    """The guest's init, as the machine sees it."""
    return int(lab.query(f"/1.0/instances/{guest}/state?project={stack.project}")["pid"])


def inside(stack: Stack, guest: str, script: str, *, check: bool = True) -> str:
    where = ("--project", stack.project, guest)
    return lab.incus("exec", *where, "--", "sh", "-c", script, check=check)


def cut(stack: Stack, guest: str) -> None:
    """Takes the guest's card off the bridge, as this machine sees it."""
    state = lab.query(f"/1.0/instances/{guest}/state?project={stack.project}")
    card = state["network"]["eth0"]["host_name"]
    subprocess.run(["ip", "link", "set", card, "down"], check=True)


async def healed(watch: Watch, began: float, step: str, within_s: float) -> str:
    """Waits until it is up again; the reason of the step."""
    reason = (await watch.until(WEB, "heal", step)).text
    await watch.until(WEB, "healed", step)
    assert time.time() - began < within_s, reason
    return reason


async def test_what_breaks_comes_back(stack: Stack) -> None:
    where = ("--project", stack.project, "lxc-951")
    async with watching(stack.folder) as watch:
        again = "until systemctl --quiet is-active nginx; do sleep 0.05; done"
        inside(stack, "lxc-951", f"pkill -KILL nginx; sleep 0.1; timeout 20 sh -c '{again}'")
        assert watch.told(WEB) == []  # systemd was faster

        began = time.time()
        os.kill(pid_of(stack, "lxc-951"), signal.SIGKILL)
        assert "by itself" in await healed(watch, began, "start", 30)

        began = time.time()
        inside(stack, "lxc-951", "poweroff", check=False)
        await healed(watch, began, "start", 40)

        began = time.time()
        inside(stack, "lxc-951", "pkill -STOP nginx")
        reason = await healed(watch, began, "service", 30)
        assert "a signal stopped processes of nginx.service" in reason

        began = time.time()
        inside(stack, "lxc-951", "systemctl stop nginx")
        assert "nginx.service does not run" in await healed(watch, began, "service", 30)

        began = time.time()
        inside(stack, "lxc-951", "ip link set eth0 down", check=False)
        assert "eth0 is off" in await healed(watch, began, "service", 30)

        began = time.time()
        cut(stack, "lxc-951")
        assert "leads nowhere" in await healed(watch, began, "plug", 30)

        lab.incus("stop", *where)
        assert "stopped it" in (await watch.until(WEB, "held", "")).text
        lab.incus("start", *where)
        await watch.until_up(WEB)
        assert ("heal", "start") not in watch.told(WEB)


async def test_a_service_that_cannot_start_is_told_with_what_it_said(stack: Stack) -> None:
    wrong = "/etc/nginx/conf.d/zz-wrong.conf"
    mend = f"rm -f {wrong}; systemctl reset-failed nginx; systemctl start nginx"
    async with watching(stack.folder) as watch:
        try:
            hurt = f"echo 'wrong on;' >{wrong}; systemctl restart nginx"
            inside(stack, "lxc-951", hurt, check=False)
            reason = (await watch.until(WEB, "heal", "service")).text
            assert re.match("nginx.service does not (run|come up); nginx.service said: ", reason)
            assert f'unknown directive "wrong" in {wrong}:1' in reason
        finally:
            inside(stack, "lxc-951", mend, check=False)
        await watch.until_up(WEB)


@pytest.mark.long
async def test_back_to_the_snapshot_then_anew(stack: Stack) -> None:
    stack.ok("snapshot", "anew", "--name", "good")
    async with watching(stack.folder) as watch:
        inside(stack, "lxc-952", "rm /srv/made")
        await watch.until(ANEW, "heal", "restart")
        await watch.until(ANEW, "heal", "rollback")
        await watch.until(ANEW, "healed", "rollback", 120)

        stack.ok("snapshot", "anew", "--delete", "good")
        inside(stack, "lxc-952", "rm /srv/made; touch /srv/old")
        await watch.until(ANEW, "heal", "restart", 120)
        await watch.until(ANEW, "healed", "recreate", 180)
        assert inside(stack, "lxc-952", "ls /srv").split() == ["made"]
    commands = [run["command"] for run in stack.json("history")["runs"]]
    assert any("phoenix watch: apply --target lxc/952" in command for command in commands)
    assert stack.changes("--target", "952") == []


async def test_only_watching_does_nothing(stack: Stack) -> None:
    async with watching(stack.folder, observe_only=True) as watch:
        inside(stack, "lxc-951", "systemctl stop nginx")
        told = await watch.until(WEB, "held", "service")
        assert told.text.startswith("only watching, else `service`: nginx.service does not run")
        assert inside(stack, "lxc-951", "systemctl is-active nginx", check=False) == "inactive\n"
        inside(stack, "lxc-951", "systemctl start nginx")
        await watch.until_up(WEB)
