"""One double of Proxmox VE for a test process; its faults and record are cleared for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support import pve


@pytest.fixture(scope="session")
def running() -> Iterator[pve.Pve]:
    with pve.started("pve1", "pve2", time_scale=0.02) as double:
        yield double


@pytest.fixture
async def double(running: pve.Pve) -> AsyncIterator[pve.Pve]:
    yield running
    await running.no_faults()
    await running.forget()
