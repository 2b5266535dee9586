"""Graphics cards from the files to what `validate`, `plan` and `status` say, by a real feature."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.test_commands import Cli

CARD = {"index": 0, "name": "RTX 5060 Ti", "memory_mb": 16311}
HOST = {"hypervisor": {"stack": "cli", "pools": {"pool": {"size_gb": 5}}}, "gpus": [CARD]}
SMALL = {"port": 8080, "model": {"path": "/srv/Qwen2.5-7B-Instruct-Q4_K_M.gguf"}}
LARGE = {"port": 8080, "model": {"path": "/srv/Qwen3-14B-Q4_K_M.gguf"}, "context": 16384}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    (tmp_path / "phoenix_hypervisor_config.json").write_text(json.dumps(HOST))
    for ident, server in (("101", SMALL), ("102", SMALL)):
        made.guest(ident, gpu_assignment="0", features=["llamacpp"], llamacpp=server)
    return made


def test_two_that_fit(cli: Cli) -> None:
    assert cli.run("validate").returncode == 0
    plan = cli.run("plan")
    assert plan.returncode == 0
    start = plan.stdout.index("Graphics cards")
    table = plan.stdout[start:].splitlines()[:5]
    assert table[1] == "  card 0  RTX 5060 Ti  16311 MiB"
    assert table[2].startswith("    lxc/101  llamacpp ")
    assert "######" in table[3]
    assert table[4].split()[0] == "free"
    status = cli.run("status", "--gpus")
    assert "\n".join(table) in status.stdout
    assert "Graphics cards" not in cli.run("status").stdout


def test_as_json(cli: Cli) -> None:
    (planned,) = cli.json("plan")["gpus"]
    document = cli.json("status", "--gpus")
    assert document["gpus"] == [planned]
    assert [guest["address"] for guest in document["guests"]] == ["lxc/101", "lxc/102"]
    assert planned["taken_mb"] == sum(one["memory_mb"] for one in planned["claims"])
    assert 0 < planned["free_mb"] < CARD["memory_mb"]
    assert "GiB runtime = " in planned["claims"][0]["told"]
    assert "gpus" not in cli.json("status")


def test_too_much_is_told_at_its_place_by_validate_and_refused_by_plan(cli: Cli) -> None:
    cli.guest("102", llamacpp=LARGE)
    document = cli.json("validate")
    (problem,) = document["problems"]
    assert not document["ok"]
    assert problem["pointer"] == "/lxc_configs/102/gpu_assignment"
    assert problem["line"] > 0
    assert "card 0 (RTX 5060 Ti): more is claimed than it has: " in problem["message"]
    assert problem["message"].endswith("MiB of 16311 MiB (103.3 %)")
    plan = cli.run("plan")
    assert plan.returncode == 1
    assert "  too much " in plan.stdout
    assert plan.stdout.count("refused: ") == 1
    assert problem["message"] in plan.stdout
    assert cli.run("apply", "--yes").returncode == 1
    assert not (cli.folder / "sim.json").exists()
    assert f"refused: {problem['message']}" in cli.run("status", "--gpus").stdout


def test_a_stopped_template_takes_nothing(cli: Cli) -> None:
    cli.guest("102", llamacpp=LARGE, template_snapshot_name="base")
    assert cli.run("validate").returncode == 0


def test_other_mistakes_hide_nothing_of_the_cards(cli: Cli) -> None:
    cli.guest("102", llamacpp=LARGE, cores="two")
    first, second = cli.json("validate")["problems"]
    pointers = {one["pointer"].partition("/102/")[2] for one in (first, second)}
    assert "cores" in pointers
    assert pointers == {"cores", "gpu_assignment"}


def test_without_cards_status_says_so(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.guest("101")
    assert "no guest uses one" in cli.run("status", "--gpus").stdout
    assert cli.json("status", "--gpus")["gpus"] == []
    assert cli.json("plan")["gpus"] == []


def test_a_saved_plan_is_refused_once_the_card_is_another(cli: Cli) -> None:
    saved = str(cli.folder / "change.plan")
    assert cli.run("plan", "--out", saved).returncode == 0
    other = HOST | {"gpus": [CARD | {"memory_mb": 24576}]}
    (cli.folder / "phoenix_hypervisor_config.json").write_text(json.dumps(other))
    done = cli.run("apply", "--yes", "--plan", saved)
    assert done.returncode == 1
    assert "host/gpus (what the files say)" in done.stderr
