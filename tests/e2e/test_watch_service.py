"""The service that `phoenix watch --install` makes: the command itself, under a real systemd.

The guest that systemd runs in sees this Python and this project where they lie here.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import PHOENIX, ROOT, Stack, write
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.long, pytest.mark.usefixtures("incus_daemon")]

FOLDER = "/etc/phoenix home"
NAME = "phoenix-watch-home.service"
STATE = '{"hypervisor": {"driver": "sim", "stack": "%s"}}'
BROKEN = '{"hypervisor": {"driver": '


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("x")
    guests = {"9831": {"template": "debian-13-standard", "features": []}}
    made = write(tmp_path_factory.mktemp("service") / "folder", corner, guests)
    try:
        made.ok("apply", "--yes")
        # Its libraries are what Python itself needs.
        made.inside(
            "9831", "command -v python3 || apt-get update -q && apt-get install -qy python3"
        )
        for number, path in enumerate({ROOT, Path(sys.base_prefix), Path(sys.prefix)}):
            device = ("disk", f"source={path}", f"path={path}", "readonly=true")
            where = (f"--project={made.project}", "lxc-9831")
            lab.incus("config", "device", "add", *where, f"here{number}", *device)
        yield made
    finally:
        lab.clear(corner.name)


def put(stack: Stack, path: str, text: str) -> None:
    where = f"lxc-9831{path}"
    lab.incus("file", "push", f"--project={stack.project}", "-p", "-", where, stdin=text)


def phoenix(stack: Stack, words: str) -> str:
    return stack.inside(
        "9831", f"PYTHONDONTWRITEBYTECODE=1 {PHOENIX} --dir '{FOLDER}' {words} 2>&1"
    )


def show(stack: Stack, what: str) -> str:
    return stack.inside("9831", f"systemctl show --value -p {what} {NAME}")


def left(stack: Stack) -> str:
    """What it has written into its folder."""
    return stack.inside("9831", f"ls '{FOLDER}/.phoenix'")


def wait_for(stack: Stack, what: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end, stack.inside("9831", f"journalctl -u {NAME}; ls -la /etc")
        time.sleep(0.5)


def runs(stack: Stack, restarts: int) -> bool:
    """Whether it has told systemd that it is ready, after so many deaths."""
    return show(stack, "ActiveState") == "active" and int(show(stack, "NRestarts")) == restarts


def test_it_is_begun_again_whether_it_dies_or_hangs_and_goes_with_broken_files(
    stack: Stack,
) -> None:
    put(stack, f"{FOLDER}/phoenix_hypervisor_config.json", STATE % "home")
    short = "[Service]\nWatchdogSec=12\nRestartSec=0\n"
    put(stack, f"/run/systemd/system/{NAME}.d/short.conf", short)
    assert "watches" in phoenix(stack, "watch --install")
    wait_for(stack, lambda: runs(stack, 0))
    wait_for(stack, lambda: "watch.sqlite3" in left(stack))  # though /etc is read-only for it
    time.sleep(15)  # longer than the watchdog's time: it is fed
    assert runs(stack, 0)
    for number, name in enumerate(("KILL", "STOP"), 1):
        stack.inside("9831", f"systemctl kill --signal={name} {NAME}")
        wait_for(stack, lambda number=number: runs(stack, number))  # type: ignore[misc]
    put(stack, f"{FOLDER}/phoenix_hypervisor_config.json", STATE % "renamed")
    put(stack, f"{FOLDER}/phoenix_hypervisor_config.json", BROKEN)
    assert f"{NAME} is gone" in phoenix(stack, "watch --uninstall")
    assert show(stack, "ActiveState") == "inactive"
    assert NAME not in stack.inside("9831", "ls /etc/systemd/system")
    assert "watch.sqlite3" in left(stack)
