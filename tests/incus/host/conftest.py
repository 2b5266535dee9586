"""Two containers: one plays the host, the other one uses what it shares."""

from collections.abc import Iterator

import pytest
from tests.support import lab
from tests.support.featurebench import Bench
from tests.support.host_machine import HostMachine


@pytest.fixture(scope="session")
def host_bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("r")
    made = Bench.of(corner, tmp_path_factory.mktemp("host"), "node", "user")
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture
def node(host_bench: Bench) -> HostMachine:
    """The host, with nothing asked of it yet."""
    return HostMachine(host_bench, "node", host_bench.folder / "files")
