"""The whole server of examples/home-server: right, and applied on the simulated node."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.cli.main import run

ROOT = Path(__file__).parents[3]
SECRETS = [
    "PVE_TOKEN",
    "APP_DB_PASSWORD",
    "N8N_DB_PASSWORD",
    "WEBUI_DB_PASSWORD",
    "REDIS_PASSWORD",
    "HF_TOKEN",
    "ENGINE_KEY",
    "WEBUI_SECRET_KEY",
    "N8N_ENCRYPTION_KEY",
    "QDRANT_KEY",
    "LLM_KEY_LAPTOP",
    "LLM_KEY_PHONE",
    "SMB_ANN",
    "SMB_BEN",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "home-server"
    shutil.copytree(ROOT / "examples/home-server", copy)
    for name in SECRETS:
        monkeypatch.setenv(name, "an example's value")
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "node.json"))
    return copy


def said(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    status = run(["--json", "--on", "sim", "--dir", str(folder), *words])
    out, err = capsys.readouterr()
    assert status == 0, out + err
    return [json.loads(line) for line in out.splitlines()]


def test_it_is_right_and_applied(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, folder, "validate")[0]["problems"] == []
    [plan] = said(capsys, folder, "plan")
    assert {change["action"] for change in plan["changes"]} == {"create"}
    assert plan["refusals"] == []
    assert said(capsys, folder, "apply", "--yes")[-1]["ok"]
    assert said(capsys, folder, "plan")[0]["changes"] == []


def test_a_rehearsal_needs_no_secret(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name)
    told = said(capsys, folder, "validate")[0]["problems"]
    assert {problem["severity"] for problem in told} == {"warning"}
    assert said(capsys, folder, "apply", "--yes")[-1]["ok"]
    assert said(capsys, folder, "plan")[0]["changes"] == []


def test_its_cards_have_room(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [plan] = said(capsys, folder, "plan")
    told = {card["index"]: [one["address"] for one in card["claims"]] for card in plan["gpus"]}
    assert told == {0: ["lxc/120", "lxc/120"], 1: ["lxc/121", "lxc/122"]}
    path = folder / "phoenix_lxc_configs.json"
    words = json.loads(path.read_text())
    words["lxc_configs"]["120"]["vllm"]["servers"][0]["gpu_memory_utilization"] = 0.9
    path.write_text(json.dumps(words))
    assert run(["--on", "sim", "--dir", str(folder), "validate"]) == 1
    assert "112 %" in capsys.readouterr().err
