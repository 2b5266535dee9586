"""The Proxmox driver passes the suite on a real node."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.conformance.kit import Kit
from tests.conformance.shared import SharedDriverSuite
from tests.conformance.steps import clear
from tests.pve.node import PveKit, Setting

pytestmark = pytest.mark.pve


class TestPve(SharedDriverSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
        kit = PveKit.make(tmp_path_factory.mktemp("pve"), Setting())
        asyncio.run(clear(kit, resources=False))  # what an earlier run left
        yield kit
        asyncio.run(clear(kit, resources=False))
        asyncio.run(kit.clear_folders())
