"""What systemd is told."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from phoenix_hypervisor.app.watching.systemd import Notifier


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(5)
        yield found


def environ(listening: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listening.getsockname(), **more}


def test_it_is_told_that_watching_has_begun_and_ends(listening: socket.socket) -> None:
    notify = Notifier(environ(listening))
    notify("READY=1")
    notify("STOPPING=1")
    assert [listening.recv(100), listening.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_the_watchdog_is_fed_and_not_more_often_than_it_needs(listening: socket.socket) -> None:
    notify = Notifier(environ(listening, WATCHDOG_USEC="60000000", WATCHDOG_PID=str(os.getpid())))
    for _ in range(5):
        notify.alive()
    assert listening.recv(100) == b"WATCHDOG=1"
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(100)


def test_a_watchdog_of_another_process_is_not_fed(listening: socket.socket) -> None:
    Notifier(environ(listening, WATCHDOG_USEC="60000000", WATCHDOG_PID="1")).alive()
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(100)


def test_without_systemd_and_with_one_that_is_gone_nothing_fails(tmp_path: Path) -> None:
    Notifier({})("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})("READY=1")
    Notifier({"NOTIFY_SOCKET": "@gone-too"})("READY=1")
