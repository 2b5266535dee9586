"""The simulated node passes the suite, in memory and in a file."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.conformance.kit import Kit
from tests.conformance.shared import SharedDriverSuite
from tests.conformance.steps import clear
from tests.conformance.suite import DriverSuite

from phoenix_hypervisor.drivers.sim import FileStore, MemoryStore, Store, connect
from phoenix_hypervisor.drivers.sim.store import KeptGuest
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.driver import Driver


@dataclass(frozen=True)
class SimKit(Kit):
    store: Store = field(default_factory=MemoryStore)

    async def make_foreign(self, address: Address) -> None:
        with self.store.change() as world:
            world.guests[address] = KeptGuest(fields={"name": "by-hand", "memory_mb": 512})

    async def remove_foreign(self, address: Address) -> None:
        with self.store.change() as world:
            del world.guests[address]


class MemoryKit(SimKit):
    def open(self, stack: str | None = None) -> Driver:
        return connect(
            self.target, stack or self.stack, environ={}, folder=self.folder, store=self.store
        )


class TestSimInMemory(DriverSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
        kit = MemoryKit(driver="sim", folder=tmp_path_factory.mktemp("sim"), template="any")
        yield kit
        asyncio.run(clear(kit, resources=True))
        left = kit.store.read()
        assert (left.guests, left.resources) == ({}, {})


class TestSimInFile(SharedDriverSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
        folder: Path = tmp_path_factory.mktemp("sim-file")
        environ = {"PHOENIX_SIM_STATE": "node.json"}
        store = FileStore(folder / "node.json", environ)
        kit = SimKit(driver="sim", folder=folder, template="any", environ=environ, store=store)
        yield kit
        asyncio.run(clear(kit, resources=True))
        left = store.read()
        assert (left.guests, left.resources) == ({}, {})
