"""One dashboard for all tests of a file: they ask it, and leave it as it was."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.web.serving import PASSWORD, Serving, phoenix, serving, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dashboard") / "folder"
    write(made)
    phoenix(made, "serve", "--set-password", stdin=PASSWORD + "\n")
    return made


@pytest.fixture(scope="module")
def shown(folder: Path) -> Iterator[Serving]:
    with serving(folder) as one:
        yield one


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[str, str]:
    return {
        "read": phoenix(folder, "serve", "--new-token", "reader").splitlines()[0],
        "act": phoenix(folder, "serve", "--new-token", "actor", "--may-act").splitlines()[0],
    }


@pytest.fixture
def nobody(shown: Serving) -> Iterator[httpx.Client]:
    with shown.client() as client:
        yield client


@pytest.fixture(scope="module")
def person(shown: Serving) -> Iterator[httpx.Client]:
    with shown.logged_in() as client:
        yield client


@pytest.fixture(scope="module")
def reader(shown: Serving, tokens: dict[str, str]) -> Iterator[httpx.Client]:
    with shown.logged_in(tokens["read"]) as client:
        yield client
