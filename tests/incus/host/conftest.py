"""Containers: one plays the host, one uses what it shares, one has a host's own network."""

from collections.abc import Iterator

import pytest
from tests.support import lab
from tests.support.featurebench import Bench
from tests.support.host_machine import HostMachine

from phoenix_hypervisor.features import available


@pytest.fixture(scope="session")
def host_bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("r")
    made = Bench.of(corner, tmp_path_factory.mktemp("host"), "node", "user", "wired")
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture
def node(host_bench: Bench) -> HostMachine:
    """The host, with nothing asked of it yet, and no file left by which Phoenix knows more."""
    made = HostMachine(host_bench, "node", host_bench.folder / "files")
    left = [path for feature in available().values() for path in feature.host_files]
    made.sh(f"rm -f {' '.join(left)}")
    return made
