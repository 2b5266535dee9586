"""The example of each feature: no warning, applied on the simulated node, shown on its page."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor import features
from phoenix_hypervisor.cli.main import run

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "features"
FILES = ("phoenix_lxc_configs.json", "phoenix_vm_configs.json")


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"secret"}:
            yield str(value["secret"])
        for inside in value.values():
            yield from _secrets(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _secrets(inside)


def _files(folder: Path) -> list[dict[str, Any]]:
    """The guests' files that are there."""
    return [json.loads((folder / name).read_text()) for name in FILES if (folder / name).exists()]


@pytest.fixture(params=features.for_guests())
def example(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> Path:
    """A copy of a feature's example, with a value for each of its secrets, on an empty node."""
    folder = tmp_path / str(request.param)
    shutil.copytree(EXAMPLES / str(request.param), folder)
    for words in _files(folder):
        for name in _secrets(words):
            monkeypatch.setenv(name, "an example's value")
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "node.json"))
    return folder


def _said(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    status = run(["--json", "--on", "sim", "--dir", str(folder), *words])
    out, err = capsys.readouterr()
    assert status == 0, out + err
    return [json.loads(line) for line in out.splitlines()]


def test_it_is_right_and_applied(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _said(capsys, example, "validate")[0]["problems"] == []
    plan = _said(capsys, example, "plan")[0]
    assert {change["action"] for change in plan["changes"]} == {"create"}
    assert plan["notes"] == plan["refusals"] == []
    assert _said(capsys, example, "apply", "--yes")[-1]["ok"]
    assert _said(capsys, example, "plan")[0]["changes"] == []


def test_it_uses_its_feature(example: Path) -> None:
    guests = [
        guest
        for words in _files(example)
        for guest in (*words.get("lxc_configs", {}).values(), *words.get("vms", ()))
    ]
    assert any(example.name in guest["features"] and guest.get(example.name) for guest in guests)


@pytest.mark.parametrize("name", features.for_guests())
def test_its_page_shows_it_with_all_options(name: str) -> None:
    page = (ROOT / f"docs/features/{name}.md").read_text()
    assert f"<!-- made: options {name} -->" in page
    for file in FILES:
        shown = f"<!-- made: file examples/features/{name}/{file} -->" in page
        assert shown == (EXAMPLES / name / file).exists()


def test_no_example_is_left_over() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} <= {*features.for_guests()}
    assert not [p for p in EXAMPLES.rglob("*") if re.search(r"\.env$|__pycache__", p.name)]
