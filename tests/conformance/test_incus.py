"""The Incus driver passes the suite on real containers."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.conformance.kit import Kit
from tests.conformance.shared import SharedDriverSuite
from tests.conformance.suite import clear
from tests.support import lab

from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Target

pytestmark = pytest.mark.incus


@dataclass(frozen=True)
class IncusKit(Kit):
    @property
    def project(self) -> str:
        return self.target.project

    async def make_foreign(self, address: Address) -> None:
        name = names.instance(address)
        where = ("--project", self.project, "--storage", self.pool, "--no-profiles")
        await asyncio.to_thread(lab.incus, "create", "--empty", name, *where)

    async def remove_foreign(self, address: Address) -> None:
        name = names.instance(address)
        await asyncio.to_thread(lab.incus, "delete", "--project", self.project, name)


@pytest.mark.usefixtures("incus_daemon")
class TestIncus(SharedDriverSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def kit(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
        corner = lab.Lab("c")
        folder = tmp_path_factory.mktemp("incus")
        for parent in (folder, *folder.parents):  # the guests' root must get to the mounts
            if parent.owner() == "root" and str(parent) not in ("/", "/tmp"):
                parent.chmod(0o755)
        kit = IncusKit(
            driver="incus",
            folder=folder,
            template="debian-13-standard",
            pool=corner.name,
            bridge=corner.name,
            cidr=f"{corner.subnet()}.1/24",
            target=Target(project=corner.name),
            environ=dict(os.environ),
            raw=("lxc.environment", "CONFORMANCE=1"),
            left_out=frozenset({"gpus", "apparmor_profile"}),
        )
        yield kit
        asyncio.run(clear(kit, resources=True))
        lab.clear(corner.name)
