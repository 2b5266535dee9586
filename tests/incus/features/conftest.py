"""The containers that the features' tests share: one for the web, one for an API, one for data."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import lab
from tests.support.featurebench import API, DATABASE, SITE, Bench

from phoenix_hypervisor.model.desired import Route

FOLDER = Path(__file__).with_name("folder")


@pytest.fixture(scope="session")
def bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    corner = lab.Lab("f")
    folder = tmp_path_factory.mktemp("features") / "folder"
    shutil.copytree(FOLDER, folder)
    made = Bench.of(corner, folder, "web", "api", "db")
    made.secrets = {"APP": "first $ecret'\"", "PAGE": "pa55 word", "TOKEN": "to.ken+12345"}
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture(scope="session")
def llm_bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One container for the servers of models."""
    corner = lab.Lab("m")
    made = Bench.of(corner, tmp_path_factory.mktemp("models"), "llm")
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture(scope="session")
def names_bench(incus_daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Containers that call each other by name: an authority, a web server, a client, a spare."""
    corner = lab.Lab("s")
    folder = tmp_path_factory.mktemp("names") / "folder"
    shutil.copytree(FOLDER, folder)
    made = Bench.of(corner, folder, "ca", "web", "client", "spare")
    try:
        made.make()
        yield made
    finally:
        lab.clear(corner.name)


@pytest.fixture(scope="session")
def api(bench: Bench) -> str:
    """A served application, and the address of its guest."""
    bench.deploy("api", "python_api_service", API)
    bench.change("api", routes=(Route(None, "/api", 8000),))
    return bench.ip("api")


@pytest.fixture(scope="session")
def web(bench: Bench, api: str) -> str:
    """The proxy before it, and its address."""
    bench.deploy("web", "nginx", SITE)
    return bench.ip("web")


@pytest.fixture(scope="session")
def db(bench: Bench) -> str:
    """A database server that `api` depends on, and its address."""
    bench.change("api", dependencies=(bench.guests["db"].address,))
    bench.deploy("db", "postgresql", DATABASE)
    return bench.ip("db")
