"""The folder examples/replicas, and more and fewer of its service, on the simulated node."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.cli.main import run

ROOT = Path(__file__).parents[3]
SERVICE = "950"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "replicas"
    shutil.copytree(ROOT / "examples/replicas", copy)
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "node.json"))
    return copy


@pytest.fixture
def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: str) -> list[Any]:
        status = run(["--json", "--on", "sim", "--dir", str(folder), *words])
        out, err = capsys.readouterr()
        assert status == 0, out + err
        return [json.loads(line) for line in out.splitlines()]

    return command


def count(folder: Path, wanted: int) -> None:
    path = folder / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    words["lxc_configs"][SERVICE]["replicas"] = wanted
    path.write_text(json.dumps(words))


def changes(plan: Any) -> dict[str, str]:
    return {one["address"]: one["action"] for one in plan["changes"]}


def test_more_and_fewer(folder: Path, said: Any) -> None:
    assert said("validate")[0]["problems"] == []
    assert said("apply", "--yes")[-1]["ok"]
    assert said("plan")[0]["changes"] == []
    count(folder, 3)
    assert changes(said("plan")[0]) == {"lxc/952": "create", "lxc/100": "configure"}
    assert said("apply", "--yes")[-1]["ok"]
    assert said("plan")[0]["changes"] == []
    count(folder, 1)
    assert changes(said("plan")[0]) == {"lxc/100": "configure"}
    pruned = said("plan", "--prune")[0]
    assert changes(pruned) == {"lxc/100": "configure", "lxc/951": "delete", "lxc/952": "delete"}
    after = {one["address"]: one["after"] for one in pruned["changes"]}
    assert after["lxc/952"] == ["lxc/100"]


def test_a_name_stands_for_all(folder: Path, said: Any) -> None:
    assert set(changes(said("plan", "--target", "hello")[0])) >= {"lxc/950", "lxc/951"}
    assert "lxc/951" not in changes(said("plan", "--target", "hello-1")[0])
    names = {one["name"] for one in said("status")[0]["guests"]}
    assert names == {"base", "hello-1", "hello-2", "proxy"}


def test_a_new_version_comes_to_one_after_the_other(folder: Path, said: Any) -> None:
    assert said("apply", "--yes")[-1]["ok"]
    with (folder / "hello" / "main.py").open("a") as file:
        file.write("# new\n")
    told = said("apply", "--yes")
    done = [(one["address"], one["step"]) for one in told if one["event"] == "finished"]
    steps = ("drain", "configure", "undrain")
    assert done[:6] == [(at, step) for at in ("lxc/950", "lxc/951") for step in steps]
    assert said("plan")[0]["changes"] == []
