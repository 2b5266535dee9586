"""Folders as data: each holds small files and, in expected.json, exactly the problems of them."""

import json
from pathlib import Path

import pytest

from phoenix_hypervisor.config.load import Vocabulary, load

HERE = Path(__file__).parent


def _cases(kind: str) -> list[Path]:
    return sorted(path.parent for path in (HERE / kind).rglob("expected.json"))


def _named(path: Path) -> str:
    return path.relative_to(HERE).as_posix()


@pytest.mark.parametrize("folder", _cases("corpus"), ids=_named)
def test_a_bad_folder_has_exactly_these_problems(folder: Path, vocabulary: Vocabulary) -> None:
    loaded = load(folder, vocabulary)
    assert [problem.as_json() for problem in loaded.problems] == _expected(folder)
    assert (loaded.desired is None) == any(p.severity == "error" for p in loaded.problems)


@pytest.mark.parametrize("folder", _cases("good"), ids=_named)
def test_a_good_folder_loads_with_exactly_these_warnings(
    folder: Path, vocabulary: Vocabulary
) -> None:
    loaded = load(folder, vocabulary)
    assert [problem.as_json() for problem in loaded.problems] == _expected(folder)
    assert loaded.desired is not None


def _expected(folder: Path) -> object:
    return json.loads((folder / "expected.json").read_text())


def test_the_corpus_is_wide() -> None:
    assert len(_cases("corpus")) >= 80
    assert len(_cases("good")) >= 5
