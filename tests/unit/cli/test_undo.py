"""`snapshot`, `rollback` and `history` on the simulated node, as other programs call them."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.test_commands import Cli

from phoenix_hypervisor.cli import main
from phoenix_hypervisor.drivers.sim import FileStore
from phoenix_hypervisor.history import database

Run = Callable[..., tuple[int, str, str]]


class Here(Cli):
    """The command line in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder)
        self._capsys = capsys
        self.store = FileStore(folder / "sim.json", {})

    def do(self, *words: str) -> tuple[int, str, str]:
        status = main.run(["--dir", str(self.folder), "--on", "sim", *words])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def ok(self, *words: str) -> str:
        status, out, err = self.do(*words)
        assert status == 0, err
        return out

    def document(self, *words: str) -> Any:
        return json.loads(self.do("--json", *words)[1])

    def changes(self) -> list[tuple[str, str]]:
        return [(c["address"], c["action"]) for c in self.document("plan")["changes"]]


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "sim.json"))
    made = Here(tmp_path, capsys)
    made.guest("101", features=["nginx"], name="web")
    made.guest("102", name="db")
    made.ok("apply", "--yes")
    return made


def test_there_and_back(cli: Here) -> None:
    """After a rollback the plan shows exactly what is older than the files, and apply mends it."""
    cli.ok("snapshot", "web", "102", "--name", "before")
    cli.guest("101", memory_mb=512, features=["nginx", "redis"])
    cli.ok("apply", "--yes")
    assert cli.changes() == []

    out = cli.ok("rollback", "web", "before", "--yes")
    assert "its settings go back too, and what its disks hold since then is lost" in out
    assert "its inside was configured since; the next apply does that again" in out
    assert "`phoenix plan` shows what is older than the files" in out
    assert cli.store.read().guests["lxc/101"].state == "running"
    (change,) = cli.document("plan")["changes"]
    assert (change["address"], change["action"]) == ("lxc/101", "update")
    assert [field["path"] for field in change["fields"]] == ["memory_mb"]
    assert "configure" in [step["name"] for step in change["steps"]]
    cli.ok("apply", "--yes")
    assert cli.changes() == []
    assert cli.store.read().guests["lxc/101"].fields["memory_mb"] == 512


def test_snapshots_are_listed_and_deleted(cli: Here) -> None:
    cli.ok("snapshot", "101")
    cli.ok("snapshot", "101", "--name", "second")
    web, db = cli.document("snapshot", "--list")["guests"]
    first, second = web["snapshots"]
    assert first["name"].startswith("by-hand-20")
    assert (second["name"], second["ours"], second["whole"]) == ("second", True, True)
    assert second["taken"] >= first["taken"]
    assert (db["address"], db["snapshots"]) == ("lxc/102", [])
    assert "by-hand-20" in cli.ok("snapshot", "--list", "web")

    lines = cli.do("--json", "snapshot", "web", "--delete", "second")[1].splitlines()
    assert [json.loads(line)["event"] for line in lines] == [
        "started",
        "progress",
        "finished",
        "report",
    ]
    assert [s["name"] for s in cli.document("snapshot", "--list")["guests"][0]["snapshots"]] == [
        first["name"]
    ]


def test_a_rollback_needs_a_yes(cli: Here) -> None:
    cli.ok("snapshot", "web", "--name", "before")
    world = cli.store.read()
    status, out, err = cli.do("rollback", "web", "before")
    assert (status, "needs a yes" in err) == (64, True)
    assert "its settings go back too, and what its disks hold since then is lost" in out
    status, out, _ = cli.do("--json", "rollback", "web", "before")
    assert (status, json.loads(out)["ok"]) == (64, False)
    assert cli.store.read() == world


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("snapshot",), 64, "name the guests"),
        (("snapshot", "web", "--name", "current"), 64, "keeps for itself"),
        (("snapshot", "web", "--name", "1a"), 64, "not the name of a snapshot"),
        (("snapshot", "web", "--list", "--delete", "x1"), 64, "three different things"),
        (("snapshot", "nobody"), 64, "nobody"),
        (("snapshot", "web", "--delete", "x1"), 1, "has no snapshot x1"),
        (("rollback", "web", "x1", "--yes"), 1, "has no snapshot x1; there is none"),
        (("rollback", "nobody", "x1", "--yes"), 64, "nobody"),
    ],
)
def test_what_is_refused(cli: Here, words: tuple[str, ...], status: int, said: str) -> None:
    world = cli.store.read()
    found, _, err = cli.do(*words)
    assert (found, said in err) == (status, True), err
    assert cli.store.read() == world


def test_a_foreign_guest_and_a_protected_one(cli: Here) -> None:
    cli.ok("snapshot", "web", "db", "--name", "before")
    cli.guest("101", protected=True)
    cli.ok("apply", "--yes")
    status, _, err = cli.do("rollback", "web", "before", "--yes")
    assert (status, "--protected" in err) == (1, True)
    cli.ok("rollback", "web", "before", "--yes", "--protected")

    with cli.store.change() as world:
        world.guests["lxc/102"].stack = None
    for words in (("snapshot", "db"), ("rollback", "db", "before", "--yes")):
        status, _, err = cli.do(*words)
        assert (status, "was not made by this stack" in err) == (1, True)
    status, out, err = cli.do("--json", "snapshot", "--list")
    told = json.loads(out)["guests"][1]
    assert (status, told["snapshots"], "left alone" in told["problem"]) == (0, None, True)
    assert cli.do("snapshot", "--list", "db")[0] == 1


def test_history(cli: Here, tmp_path: Path) -> None:
    cli.ok("snapshot", "web", "--name", "before")
    cli.ok("rollback", "web", "before", "--yes")
    cli.ok("destroy", "db", "--yes")
    runs = cli.document("history")["runs"]
    assert [(run["summary"], run["result"]) for run in runs] == [
        ({"delete": 1}, "ok"),
        ({"rollback": 1}, "ok"),
        ({"snapshot": 1}, "ok"),
        ({"create": 4}, "ok"),
    ]
    assert runs[1]["command"].endswith("rollback web before --yes")
    assert (runs[0]["target"], runs[0]["stack"]) == ("sim", "cli")
    assert len(cli.document("history", "--limit", "2")["runs"]) == 2

    last = cli.document("history", "last")["run"]
    assert last["plan"]["changes"][0]["action"] == "delete"
    assert [(e["event"], e["step"]) for e in last["events"]][-1] == ("finished", "delete")
    assert last["report"]["ok"] is True
    assert last["id"] in cli.ok("history")
    told = cli.ok("history", runs[1]["id"][:8])
    assert "back to before" in told
    assert "rollback finished" in told
    status, _, err = cli.do("history", "nothing")
    assert (status, "no run nothing is known" in err) == (1, True)

    database.path(tmp_path).unlink()
    assert cli.document("history") == {"format": 1, "runs": []}
    assert "the history is empty" in cli.ok("history")


def test_estimates_come_from_earlier_runs(
    cli: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also in a saved plan, which they don't make old."""
    with sqlite3.connect(database.path(tmp_path)) as found:
        found.execute("UPDATE sample SET seconds = 77 WHERE work LIKE 'configure%'")
    cli.guest("104", name="more", features=["nginx"])
    (change,) = cli.document("plan")["changes"]
    steps = {step["name"]: step["estimate_s"] for step in change["steps"]}
    assert steps["configure"] == 77
    assert change["estimate_s"] >= 77
    saved = tmp_path / "saved.plan"
    cli.ok("plan", "--out", str(saved))
    with sqlite3.connect(database.path(tmp_path)) as found:
        found.execute("UPDATE sample SET seconds = 5")
    events = [
        json.loads(line) for line in cli.ok("--json", "apply", "--plan", str(saved)).splitlines()
    ]
    assert all(event["left_s"] >= 0 for event in events[:-1])
    assert events[-1]["ok"] is True
