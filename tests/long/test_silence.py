"""Peers that take a connection and then say nothing: the command ends in the time that is told."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.e2e.stack import PHOENIX

from phoenix_hypervisor.drivers.incus.client import HELLO_S

pytestmark = pytest.mark.long


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """A socket behind which somebody listens, and never answers."""
    path = tmp_path / "incus.socket"
    kept = []

    def accept(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                kept.append(listening.accept()[0])

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield path
        listening.shutdown(socket.SHUT_RDWR)
    for one in kept:
        one.close()


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes"), ("status",), ("doctor",)])
def test_a_silent_incus(tmp_path: Path, silent: Path, command: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    words = {"hypervisor": {"stack": "silence"}}
    (folder / "phoenix_hypervisor_config.json").write_text(json.dumps(words))
    (folder / "phoenix_lxc_configs.json").write_text('{"lxc_configs": {}}')
    began = time.monotonic()
    done = subprocess.run(
        [str(PHOENIX), "--dir", str(folder), "--on", "incus", *command],
        env=os.environ | {"INCUS_SOCKET": str(silent)},
        capture_output=True,
        text=True,
        timeout=HELLO_S + 30,
        check=False,
    )
    assert HELLO_S <= time.monotonic() - began < HELLO_S + 15
    assert done.returncode == 1
    assert f"did not answer within {HELLO_S:.0f} s" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
