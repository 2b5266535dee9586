"""Scripts of test suites: they are there."""

from collections.abc import Iterator, Mapping, Sequence

from phoenix_hypervisor.config import lookup
from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder, Spot
from phoenix_hypervisor.config.words.shared import TestCase
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Test scripts that aren't there."""
    yield from _of(folder, folder.spot(HYPERVISOR), folder.host.tests)
    for guest in folder.containers:
        yield from _of(folder, guest.spot, guest.words.tests)
        tests = guest.words.integration_tests
        if tests is not None:
            yield from _missing(folder, guest.spot, ("integration_tests", "script"), tests.script)


def _of(folder: Folder, spot: Spot, suites: Mapping[str, Sequence[TestCase]]) -> Iterator[Problem]:
    for name, suite in suites.items():
        for index, case in enumerate(suite):
            yield from _missing(folder, spot, ("tests", name, index, "path"), case.path)


def _missing(folder: Folder, spot: Spot, place: Pointer, path: str) -> Iterator[Problem]:
    if lookup.find(folder.path, path, lookup.SUITES) is None:
        message = f"the test script {path} is not there"
        yield spot.warning(place, message, f"looked {lookup.told(lookup.SUITES)}")
