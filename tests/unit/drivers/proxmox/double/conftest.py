"""One double of Proxmox VE for a test process, empty and without faults for each test."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.conformance.double import DoubleKit, kit_on
from tests.support import pve

from phoenix_hypervisor.drivers.proxmox import making
from phoenix_hypervisor.drivers.proxmox.api import client

NODES = ("pve1", "pve2")


@pytest.fixture(scope="session")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoubleKit]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the double's root shell mounts folders of its own")
    with kit_on(tmp_path_factory.mktemp("pve"), NODES, first_id=2000) as kit:
        asyncio.run(kit.double.do("keep"))
        yield kit


@pytest.fixture
async def kit(_started: DoubleKit, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DoubleKit]:
    """The kit; at the end of each test no request was refused for its parameters."""
    monkeypatch.setattr(making, "_LOOK_PAUSE_S", 0.05)
    monkeypatch.setattr(client, "_TRIES", 3)
    await _started.double.do("reset")
    _started.told.clear()
    yield _started
    asked = await _started.double.asked()
    assert [f"{one}: {one.reason}" for one in asked.refused] == []


@pytest.fixture
def double(kit: DoubleKit) -> pve.Pve:
    """The double itself."""
    return kit.double
