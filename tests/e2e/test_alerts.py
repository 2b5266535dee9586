"""`phoenix watch` tells a real web hook of a guest that is not there, once, and when it is back."""

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.support.receivers import Hook, hook
from tests.unit.cli.test_commands import FOLDER, PHOENIX, Cli


def watching(cli: Cli, served: Hook) -> "subprocess.Popen[str]":
    environ = {
        "PHOENIX_DIR": str(cli.folder),
        "PHOENIX_ON": "sim",
        "PHOENIX_SIM_STATE": str(cli.folder / "sim.json"),
        "OPS_URL": served.url("T0KEN-OF-OPS"),
    }
    return subprocess.Popen(
        [str(PHOENIX), "--log-level", "debug", "watch", "--observe-only", "--for", "120"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environ,
    )


def ended(watcher: "subprocess.Popen[str]") -> str:
    watcher.send_signal(signal.SIGTERM)
    return watcher.communicate(timeout=60)[0]


def lose(cli: Cli, guest: str) -> None:
    """Somebody removes a guest by hand."""
    path = cli.folder / "sim.json"
    world = json.loads(path.read_text())
    del world["guests"][guest]
    path.write_text(json.dumps(world))


def test_told_once_over_a_restart_and_told_when_it_is_over(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    alerts = {
        "after_s": 1,
        "group_s": 1,
        "targets": {"ops": {"url": {"secret": "OPS_URL"}}},
    }
    host = FOLDER | {"watch": {"alerts": alerts}}
    (tmp_path / "phoenix_hypervisor_config.json").write_text(json.dumps(host))
    cli.guest("101", name="web")
    applied = cli.run("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    lose(cli, "lxc/101")
    with hook() as served:
        watcher = watching(cli, served)
        first = served.got.get(timeout=60)
        said = ended(watcher)
        assert first["title"] == "[cli] lxc/101 (web) is down: it is absent"
        assert first["type"] == "failure"
        assert [one["text"] for one in cli.json("alerts", "list")["alerts"]] == [
            "lxc/101 (web) is down: it is absent"
        ]
        applied = cli.run("apply", "--yes")
        assert applied.returncode == 0, applied.stderr
        watcher = watching(cli, served)
        last = served.got.get(timeout=60)
        said += ended(watcher)
        assert last["title"] == "[cli] resolved: lxc/101 (web) is down: it is absent"
        assert served.asked.qsize() == 2
    assert cli.json("alerts", "list")["alerts"] == []
    assert "T0KEN" not in said
