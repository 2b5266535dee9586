"""A folder, and `phoenix` in this process with a home of its own."""

import io
import json
import sys
from pathlib import Path

import pytest
from tests.support.secretcli import VALUE, Phoenix, Said, guest

from phoenix_hypervisor.cli.main import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    hypervisor = {
        "stack": "cli",
        "driver": "sim",
        "pools": {"pool": {"size_gb": 5}},
        "token_id": "ada@pve!lab",
        "token_secret": {"secret": "PVE_TOKEN"},
    }
    (path / "phoenix_hypervisor_config.json").write_text(
        json.dumps({"hypervisor": hypervisor}, indent=1)
    )
    redis = {"redis": {"password": {"secret": "REDIS"}}, "features": ["base_setup", "redis"]}
    guests = {
        "110": guest("110", **redis),
        "111": guest("111", features=["base_setup"]),
    }
    (path / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": guests}, indent=1))
    return path


@pytest.fixture
def phoenix(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Phoenix:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PHOENIX_DIR", str(folder))
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "sim.json"))
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("XDG_CONFIG_HOME", "PHOENIX_AGE_IDENTITY", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str, stdin: bytes = b"", **environ: str) -> Said:
        with monkeypatch.context() as context:
            for name, value in environ.items():
                context.setenv(name, value)
            context.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            status = run(words)
        said = capsys.readouterr()
        assert VALUE not in said.err
        return Said(status, said.out, said.err)

    return call


@pytest.fixture
def ready(phoenix: Phoenix) -> Phoenix:
    assert phoenix("secrets", "init").status == 0
    return phoenix
