"""Brings up the lab once for a run: the tests that need Incus are never skipped as root."""

import asyncio
import fcntl
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.support import lab

from phoenix_hypervisor.drivers.incus.client import Client
from phoenix_hypervisor.drivers.incus.images import Images

_ROOT = Path(__file__).parent.parent
# A machine that is busy with containers makes examples slowly; that is no fault of theirs.
settings.register_profile("lab", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lab")


def pytest_configure() -> None:
    """A shell that starts the tests in the background makes them ignore Ctrl-C, and so would the
    programs that are to be interrupted here."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


_REAL = frozenset({"netns", "zfs"})
"""Folders of tests that wait for what is real, as those on Incus do."""
_LONGEST = ("test_cloudinit", "test_chaos", "test_make_up", "test_monitoring", "test_kills")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The files that take longest first: else one worker is at them long after the others are done.
    items.sort(key=_rank)
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: it makes real containers with Incus")
    for item in items:
        if item.get_closest_marker("incus"):
            item.add_marker(skip)


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("long"):
        return _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST)
    real = item.get_closest_marker("incus") or not _REAL.isdisjoint(item.path.parts)
    return 0 if real else 1


@pytest.fixture(scope="session")
def incus_daemon() -> None:
    """Installs and starts Incus where it doesn't run, and clears away what killed runs left.

    The test image is made here, once, since several test processes run side by side.
    """
    with (Path(tempfile.gettempdir()) / "phoenix-tests.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        subprocess.run([_ROOT / "lab" / "incus.sh"], check=True, timeout=600)
        lab.clear_after_killed_runs()
        asyncio.run(_image())


async def _image() -> None:
    client = Client(None, "default")
    await client.open()
    try:
        await Images(client).ensure("debian-13-standard", lambda _: None)
    finally:
        await client.close()
