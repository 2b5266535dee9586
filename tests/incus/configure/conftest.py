"""The container that these tests configure; it forgets what was applied before each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import lab
from tests.support.configurebench import ConfigureBench
from tests.support.featurebench import Bench

from phoenix_hypervisor.drivers.incus import names


@pytest.fixture(scope="session")
def containers(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("c")
    made = Bench.of(corner, tmp_path_factory.mktemp("configure"), "one")
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture
def bench(containers: Bench, tmp_path: Path) -> ConfigureBench:
    guest = containers.guests["one"]
    name = names.instance(guest.address)
    way_in = ["incus", "exec", f"--project={containers.corner.name}", "-T", name, "--", "sh"]
    made = ConfigureBench(guest, way_in, tmp_path)
    made.inside("rm -rf /var/lib/phoenix/applied.json /run/phoenix")
    return made
