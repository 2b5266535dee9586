"""`phoenix graph`: files, formats and wrong usage, as other programs call it."""

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.unit.cli.test_commands import PHOENIX, ROOT, Cli

from phoenix_hypervisor import app
from phoenix_hypervisor.history import database
from phoenix_hypervisor.plan.picture.of_files import of_files
from phoenix_hypervisor.plan.picture.svg import svg


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101", name="db")
    made.guest("102", name="api", dependencies=["101"])
    return made


def test_svg_on_standard_output(cli: Cli) -> None:
    done = cli.run("graph")
    assert done.returncode == 0, done.stderr
    ET.fromstring(done.stdout)  # noqa: S314 - made here
    assert ">api</text>" in done.stdout


@pytest.mark.parametrize("words", [("--format", "mermaid"), ("--plan", "--format", "mermaid")])
def test_mermaid_of_the_files_and_of_a_plan(cli: Cli, words: tuple[str, ...]) -> None:
    done = cli.run("graph", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("flowchart LR\n")
    assert " --> " in done.stdout
    assert (":::live" in done.stdout) is ("--plan" in words)


def test_the_format_follows_the_files_name(cli: Cli, tmp_path: Path) -> None:
    for name, begin in (("a.svg", "<svg"), ("a.mmd", "flowchart"), ("a.txt", "<svg")):
        out = tmp_path / name
        done = cli.run("graph", "--out", str(out))
        assert (done.returncode, done.stdout) == (0, f"wrote {out}\n")
        assert out.read_text().startswith(begin)


def test_json_holds_nodes_and_edges(cli: Cli) -> None:
    told: Any = json.loads(cli.run("--json", "graph").stdout)
    assert {"source": "lxc/101", "target": "lxc/102", "kind": "needs"} in told["edges"]
    assert {node["name"] for node in told["nodes"]} >= {"db", "api"}


def test_a_plan_without_changes_is_a_picture_too(cli: Cli) -> None:
    assert cli.run("apply", "--yes").returncode == 0
    done = cli.run("graph", "--plan")
    assert (done.returncode, "no changes" in done.stdout) == (0, True)


def test_a_plan_that_is_refused_is_drawn_and_told(cli: Cli) -> None:
    assert cli.run("apply", "--yes").returncode == 0
    state = json.loads((cli.folder / "sim.json").read_text())
    state["guests"]["lxc/101"]["stack"] = "theirs"
    (cli.folder / "sim.json").write_text(json.dumps(state))
    for words in (("graph", "--plan"), ("--json", "graph", "--plan")):
        done = cli.run(*words)
        assert (done.returncode, "refused: " in done.stderr) == (1, True)
        assert "lxc/101" in done.stderr
        assert done.stdout.startswith(("<svg", "{"))


def test_the_picture_of_a_plan_tells_the_time_that_the_plan_tells(cli: Cli) -> None:
    assert cli.run("apply", "--yes").returncode == 0
    with sqlite3.connect(database.path(cli.folder)) as found:
        found.execute("UPDATE sample SET seconds = 7200 WHERE work LIKE 'create%'")
    cli.guest("103", name="web")
    assert "120 min" in cli.run("plan").stdout
    assert "120 min" in json.dumps(cli.json("graph", "--plan"))


@pytest.mark.parametrize("words", [("--format", "png"), ("--out", "/no/such/folder/a.svg")])
def test_wrong_usage(cli: Cli, words: tuple[str, ...]) -> None:
    done = cli.run("graph", *words)
    assert done.returncode == 64
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_files_are_told(cli: Cli) -> None:
    cli.guest("101", memory_mb="much")
    done = cli.run("graph")
    assert (done.returncode, done.stdout) == (1, "")
    assert "phoenix_lxc_configs.json:" in done.stderr


def test_the_picture_in_the_documentation_is_current() -> None:
    desired = app.read(ROOT / "examples/quickstart", None, {}).desired
    assert desired is not None
    drawn = (ROOT / "docs/images/graph.svg").read_text(encoding="utf-8")
    assert drawn == svg(of_files(desired)), (
        "draw it again: phoenix --dir examples/quickstart graph --out docs/images/graph.svg"
    )


def test_no_target_is_asked(cli: Cli) -> None:
    done = subprocess.run(
        [str(PHOENIX), "--dir", str(cli.folder), "--on", "proxmox", "graph"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
