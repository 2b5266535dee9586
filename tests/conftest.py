"""Brings up the lab once for a run: the tests that need Incus are never skipped as root."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.support import lab

_ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: it makes real containers with Incus")
    for item in items:
        if item.get_closest_marker("incus"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def incus_daemon() -> None:
    """Installs and starts Incus where it doesn't run, and clears away what killed runs left."""
    subprocess.run([_ROOT / "lab" / "incus.sh"], check=True, timeout=600)
    lab.clear_after_killed_runs()
