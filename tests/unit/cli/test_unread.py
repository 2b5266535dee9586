"""Who reads the output may leave, and an apply goes on; progress reaches a pipe as it happens."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.unit.cli.test_commands import PHOENIX, Cli

from phoenix_hypervisor.cli import main
from phoenix_hypervisor.cli._context import Context


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101")
    made.guest("102")
    return made


def started(cli: Cli, *words: str, stderr: int = subprocess.STDOUT) -> subprocess.Popen[bytes]:
    settings = {
        "PHOENIX_DIR": str(cli.folder), "PHOENIX_ON": "sim", "NO_COLOR": "1",
        "PHOENIX_SIM_STATE": str(cli.folder / "sim.json"), "PHOENIX_SIM_SECONDS": "create=1",
    }  # fmt: skip
    return subprocess.Popen(
        [str(PHOENIX), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=os.environ | settings,
    )


@pytest.mark.parametrize("lines", [0, 1])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_an_apply_goes_on_without_its_reader(cli: Cli, words: tuple[str, ...], lines: int) -> None:
    with started(cli, *words, "apply", "--yes") as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
    there = json.loads((cli.folder / "sim.json").read_text())["guests"]
    assert {one["state"] for one in there.values()} == {"running"}
    assert len(there) == 2
    assert cli.json("history")["runs"][0]["result"] == "ok"


def test_what_was_not_done_is_not_told_as_done(cli: Cli) -> None:
    with started(cli, "apply") as process:  # it needs a yes
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 1
    assert not (cli.folder / "sim.json").exists()


@pytest.mark.parametrize("words", [("plan",), ("--json", "plan"), ("plan", "--help")])
@pytest.mark.parametrize("stderr", [subprocess.STDOUT, subprocess.DEVNULL])
def test_a_command_that_changes_nothing_ends_well(
    cli: Cli, words: tuple[str, ...], stderr: int
) -> None:
    with started(cli, *words, stderr=stderr) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0


def test_a_broken_pipe_of_its_own_is_no_good_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(Context, "configure", broken)
    assert main.run(["validate"]) == 1
    assert "BrokenPipeError" in capsys.readouterr().err


def test_progress_reaches_a_pipe_as_it_happens(cli: Cli) -> None:
    with started(cli, "apply", "--yes") as process:
        assert process.stdout is not None
        while b"create started" not in process.stdout.readline():
            assert process.poll() is None
        assert process.poll() is None  # it takes a second from here
        process.stdout.read()
    assert process.returncode == 0


def test_nobody_reads_an_error(tmp_path: Path) -> None:
    """What bad files or an empty folder are told with is lost, and nothing else happens."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [str(PHOENIX), "--dir", str(tmp_path), "--json", "status"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
