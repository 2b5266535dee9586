"""What first users ran into: each is told in words that say where, why, and how to mend it."""

import json
import re
from pathlib import Path

import pytest
from tests.unit.cli.test_commands import Cli

README = Path(__file__).parents[3] / "README.md"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101")
    made.guest("102")
    return made


def test_a_file_that_vanished_is_no_silent_end_of_its_guests(cli: Cli) -> None:
    assert cli.run("apply", "--yes").returncode == 0
    file = cli.folder / "phoenix_lxc_configs.json"
    file.rename(cli.folder / "phoenix_lxc_config.json")
    told = "phoenix_lxc_configs.json is not there, so 2 guests count as no longer declared: lxc/101"
    for words in (("plan",), ("plan", "--prune")):
        done = cli.run(*words)
        assert f"note: {told}, lxc/102" in done.stdout, done.stdout
        assert "phoenix_lxc_config.json is, which nothing reads" in done.stderr
    assert any(note.startswith(told) for note in cli.json("plan", "--prune")["notes"])
    (cli.folder / "phoenix_lxc_config.json").write_text("{}")
    file.write_text('{"lxc_configs": {}}')
    assert "is not there" not in cli.run("plan", "--prune").stdout


def test_a_saved_plan_with_such_a_note_can_be_applied(cli: Cli) -> None:
    assert cli.run("apply", "--yes").returncode == 0
    (cli.folder / "phoenix_lxc_configs.json").unlink()
    out = str(cli.folder / "change.plan")
    assert cli.run("plan", "--prune", "--out", out).returncode == 0
    done = cli.run("apply", "--plan", out, "--yes")
    assert done.returncode == 0, done.stderr
    assert "so 2 guests count as no longer declared" in done.stdout


def test_a_file_in_the_place_of_the_folder(cli: Cli) -> None:
    file = cli.folder / "phoenix_lxc_configs.json"
    for command in ("validate", "plan"):
        done = cli.run("--dir", str(file), command)
        assert done.returncode == 1
        assert done.stderr.count("error:") == 1, done.stderr
        assert f"{file} is a file, not a folder" in done.stderr
        assert f"write --dir {cli.folder}" in done.stderr
    done = cli.run("--dir", str(file), "secrets", "list")
    assert f"{file} is a file, not a folder" in done.stderr


def test_the_simulated_node_says_that_nothing_was_asked(cli: Cli) -> None:
    assert cli.run("apply", "--yes").returncode == 0
    for command in ("check", "status"):
        done = cli.run(command)
        lines = [line for line in done.stdout.splitlines() if line.startswith("simulated:")]
        assert lines == ["simulated: no guest is real, and no check was asked"]
        assert cli.json(command)["simulated"] is True


def test_targets_are_listed_where_there_is_none_of_that_name(cli: Cli) -> None:
    done = cli.run("--on", "foo", "plan")
    assert done.returncode == 64
    assert "error: --on foo, which is not one of proxmox, incus, sim" in done.stderr
    assert "sim: simulated" in done.stderr
    done = cli.run("plan", PHOENIX_ON="foo")
    assert "error: PHOENIX_ON is foo, which is not one of" in done.stderr


def test_what_is_nested_too_deeply_is_told_in_short(cli: Cli) -> None:
    deep = '{"lxc_configs": {"101": {"x-deep": ' + "[" * 100 + "]" * 100 + "}}}"
    (cli.folder / "phoenix_lxc_configs.json").write_text(deep)
    done = cli.run("validate")
    assert "nested deeper than 64 levels" in done.stderr
    assert "brackets that are never closed" in done.stderr
    assert max(map(len, done.stderr.splitlines())) < 220
    (problem,) = cli.json("validate")["problems"]
    assert problem["pointer"].count("/") > 60


def test_nothing_took_a_second_that_did_not(cli: Cli) -> None:
    assert "less than 1 s" in cli.run("plan").stdout
    done = cli.run("apply", "--yes")
    assert re.search(r"done in [0-9.]+ s: simulated only", done.stdout), done.stdout
    assert "about 1 s" not in done.stdout
    shown = cli.run("history", TZ="Asia/Kolkata").stdout
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+05:30  ", shown), shown
    assert "+05:30" in cli.run("history", "last", TZ="Asia/Kolkata").stdout


def test_the_starter_names_all_targets(cli: Cli) -> None:
    target = cli.folder / "new"
    assert cli.run("init", str(target)).returncode == 0
    words = json.loads((target / "phoenix_hypervisor_config.json").read_text())["hypervisor"]["_"]
    assert all(name in words for name in ("proxmox", "incus", "sim"))


def test_the_first_lines_of_the_readme_run_anywhere(cli: Cli) -> None:
    text = README.read_text()
    block = text[text.index("## Try it") : text.index("For real:")]
    lines = re.findall(r"^\.venv/bin/phoenix (.*?) +#", block, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        words = line.replace("../first", str(cli.folder / "first")).split()
        more = ("--yes",) if "apply" in words else ()
        done = cli.run(*words, *more, PHOENIX_ON="", PHOENIX_SIM_STATE="")
        assert done.returncode == 0, done.stderr
    assert "simulated only, nothing real was made" in done.stdout


def test_the_help_calls_it_what_the_readme_does(cli: Cli) -> None:
    told = "Turns a folder of JSON files into a running, verified stack"
    assert told.lower() in " ".join(README.read_text().split()).lower()
    assert told in " ".join(cli.run("--help", COLUMNS="200").stdout.split())


def test_features_that_left_the_files_are_ended_once_on_the_simulated_node_too(cli: Cli) -> None:
    cli.guest("101", features=["base_setup"])
    assert cli.run("apply", "--yes").returncode == 0
    cli.guest("101", features=[])
    ended = cli.run("apply", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "it has no features any more" in ended.stdout
    assert cli.run("plan", "--detailed-exitcode").returncode == 0
