"""The command line as other programs call it: exit statuses, JSON, and where words go."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PHOENIX = Path(sys.executable).with_name("phoenix")
FOLDER = {
    "hypervisor": {"stack": "cli", "pools": {"pool": {"size_gb": 5}}},
}


class Cli:
    """A folder on a simulated node that is kept in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.guests: dict[str, Any] = {}
        (folder / "phoenix_hypervisor_config.json").write_text(json.dumps(FOLDER))

    def guest(self, ident: str, **words: Any) -> None:
        """Adds a container, or changes it."""
        network = {"name": "eth0", "bridge": "br0", "ip": f"10.9.8.{ident}/24"}
        base = {
            "name": f"guest{ident}",
            "template": "debian-13-standard",
            "memory_mb": 256,
            "cores": 1,
            "storage_pool": "pool",
            "storage_size_gb": 2,
            "network_config": network | {"gw": "10.9.8.1"},
        }
        self.guests[ident] = base | self.guests.get(ident, {}) | words
        self.write()

    def write(self) -> None:
        text = json.dumps({"lxc_configs": self.guests}, indent=1)
        (self.folder / "phoenix_lxc_configs.json").write_text(text)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "PHOENIX_DIR": str(self.folder),
            "PHOENIX_ON": "sim",
            "PHOENIX_SIM_STATE": str(self.folder / "sim.json"),
            "NO_COLOR": "1",
        }
        return subprocess.run(
            [str(PHOENIX), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=os.environ | settings | environ,
            timeout=60,
            check=False,
        )

    def json(self, *words: str) -> Any:
        return json.loads(self.run("--json", *words).stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101")
    return made


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--nonsense"),
        ("nonsense",),
        ("--on", "mars", "plan"),
        ("--log-level", "loud", "plan"),
        ("destroy",),
        ("destroy", "101", "--all"),
        ("apply",),
        ("apply", "--plan", "no-such-file"),
        ("apply", "--parallel", "0"),
        ("plan", "--target", "nobody"),
        ("plan", "--target", "lxc/999"),
        ("shell", "101"),
        ("check", "lxc/999"),
        ("check", "999"),
        ("check", "storage/pool"),
        ("status", "lxc/999"),
        ("destroy", "lxc/999", "--yes"),
        ("logs", "999"),
        ("--on", "proxmox", "plan"),
    ],
)
def test_wrong_usage_exits_64_with_a_word_and_no_traceback(
    cli: Cli, words: tuple[str, ...]
) -> None:
    done = cli.run(*words)
    assert done.returncode == 64, done.stderr
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_files_exit_1_and_json_is_still_printed(cli: Cli) -> None:
    cli.guest("102", memory="much", clone_from_ctid=777)
    for command in ("validate", "plan", "apply", "status", "check"):
        done = cli.run("--json", command)
        assert done.returncode == 1
        told = json.loads(done.stdout)
        assert told["ok"] is False
        assert {p["severity"] for p in told["problems"]} >= {"error"}
        assert all(p["line"] > 0 for p in told["problems"])
    shown = cli.run("validate")
    assert shown.returncode == 1
    assert "phoenix_lxc_configs.json:" in shown.stderr


def test_json_is_one_document_and_nothing_else(cli: Cli) -> None:
    assert cli.json("validate") == {"format": 1, "ok": True, "problems": []}
    plan = cli.json("plan")
    assert plan["format"] == 1
    assert plan["summary"] == {"create": 3}
    created = next(c for c in plan["changes"] if c["address"] == "lxc/101")
    assert (created["action"], created["impact"]) == ("create", "live")
    assert created["after"] == ["bridge/br0", "storage/pool"]
    assert {"fields", "reason", "estimate_s"} <= set(created)
    assert cli.run("plan", "--json").stdout == cli.run("--json", "plan").stdout


def test_detailed_exitcode_and_the_way_to_no_changes(cli: Cli) -> None:
    assert cli.run("plan").returncode == 0
    assert cli.run("plan", "--detailed-exitcode").returncode == 2
    done = cli.run("--json", "apply", "--yes")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["event"] == "report"
    assert lines[-1]["ok"] is True
    assert lines[-1]["summary"] == {"create": 3}
    keys = {"event", "address", "action", "step", "elapsed_s", "message", "left_s"}
    assert all(set(line) == keys for line in lines[:-1])
    assert cli.run("plan", "--detailed-exitcode").returncode == 0
    assert cli.json("plan")["changes"] == []


def test_status_on_a_simulated_node_claims_no_health(cli: Cli) -> None:
    absent = cli.json("status")["guests"]
    assert [(g["address"], g["state"], g["healthy"]) for g in absent] == [
        ("lxc/101", "absent", None)
    ]
    assert cli.run("check").returncode == 1
    cli.run("apply", "--yes")
    guests = cli.json("status")["guests"]
    assert [(g["state"], g["healthy"], g["checks"]) for g in guests] == [("running", None, [])]
    assert cli.run("check").returncode == 0
    assert "no inside" in cli.run("exec", "101", "--", "true").stderr


def test_a_name_that_may_mean_two_guests_is_told(cli: Cli) -> None:
    cli.guest("103", name="twin")
    cli.run("apply", "--yes")
    del cli.guests["103"]
    cli.guest("104", name="twin")
    told = cli.run("destroy", "twin", "--yes")
    assert told.returncode == 64
    assert "may be any of lxc/103, lxc/104" in told.stderr


def test_guests_that_the_files_no_longer_name_can_be_destroyed(cli: Cli) -> None:
    cli.guest("102")
    cli.guest("103")
    cli.run("apply", "--yes")
    world = json.loads((cli.folder / "sim.json").read_text())
    world["guests"]["vm/105"] = world["guests"].pop("lxc/103")
    world["guests"]["lxc/106"] = world["guests"]["lxc/102"] | {"stack": None}
    (cli.folder / "sim.json").write_text(json.dumps(world))
    del cli.guests["102"], cli.guests["103"]
    cli.write()
    left_alone = cli.run("destroy", "106", "--yes")
    assert left_alone.returncode == 1
    assert "lxc/106 was not made by this stack" in left_alone.stderr
    assert cli.run("check", "102").returncode == 64
    assert cli.run("destroy", "guest102", "105", "--yes").returncode == 0
    left = json.loads((cli.folder / "sim.json").read_text())["guests"]
    assert set(left) == {"lxc/101", "lxc/106"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: [plan],
        lambda plan: "plan",
        lambda plan: {},
        lambda plan: plan | {"changes": 5},
        lambda plan: plan | {"changes": ["x"]},
        lambda plan: plan | {"estimate_s": "long"},
        lambda plan: plan | {"options": ["101"]},
        lambda plan: plan | {"options": {"targets": "101"}},
        lambda plan: plan | {"options": {"everything": True}},
    ],
)
def test_a_file_that_is_no_saved_plan_is_told(cli: Cli, spoil: Callable[[Any], Any]) -> None:
    saved = cli.folder / "saved.json"
    assert cli.run("plan", "--out", str(saved)).returncode == 0
    saved.write_text(json.dumps(spoil(json.loads(saved.read_text()))))
    done = cli.run("apply", "--plan", str(saved))
    assert done.returncode == 64, done.stderr
    assert "saved plan" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (cli.folder / "sim.json").exists()


def test_a_saved_plan_is_applied_as_it_was_asked_for(cli: Cli) -> None:
    cli.guest("102")
    saved = cli.folder / "saved.json"
    assert cli.run("plan", "--target", "102", "--out", str(saved)).returncode == 0
    assert cli.run("apply", "--plan", str(saved)).returncode == 0
    assert set(json.loads((cli.folder / "sim.json").read_text())["guests"]) == {"lxc/102"}


def test_init_where_no_folder_can_be_made(cli: Cli) -> None:
    file = cli.folder / "afile"
    file.write_text("")
    for place in (str(file), f"{file}/below", "/proc/nothing"):
        done = cli.run("init", place)
        assert (done.returncode, "Traceback" in done.stderr) == (64, False), done.stderr
        assert f"no folder can be made at {place}" in done.stderr


def test_help_alone_is_no_error_message(cli: Cli) -> None:
    done = cli.run()
    assert "Usage" in done.stdout
    assert "error:" not in done.stderr


def test_init_and_schema_write_the_same_schemas(cli: Cli) -> None:
    cli.run("init", str(cli.folder / "new"))
    cli.run("schema", "--out", str(cli.folder / "out"))
    ours, theirs = ({p.name: p.read_text() for p in (cli.folder / where).iterdir()}
                    for where in ("new/schemas", "out"))  # fmt: skip
    assert ours == theirs
    assert len(ours) > 1


def test_tables_are_not_wrapped_for_a_program(cli: Cli) -> None:
    name = "a-guest-whose-name-is-as-long-as-names-of-hosts-may-be-63-bytes"
    cli.guest("101", name=name)
    assert name in cli.run("status").stdout.splitlines()[1]


def test_nothing_is_destroyed_that_was_not_named(cli: Cli) -> None:
    cli.run("apply", "--yes")
    cli.guest("101", storage_pool="other")
    plan = cli.json("plan", "--target", "101")
    change = next(c for c in plan["changes"] if c["address"] == "lxc/101")
    assert (change["action"], change["impact"]) == ("replace", "destructive")
    refused = cli.run("apply", "--yes")
    assert refused.returncode == 1
    assert "--allow-destructive lxc/101" in refused.stderr
    assert cli.run("apply", "--yes", "--allow-destructive", "101").returncode == 0
    assert cli.json("plan")["changes"] == []


def test_prune_and_destroy(cli: Cli) -> None:
    cli.guest("102", protected=True)
    cli.run("apply", "--yes")
    del cli.guests["101"]
    cli.write()
    assert cli.json("plan")["kept"] == ["lxc/101"]
    assert cli.run("apply", "--yes", "--prune").returncode == 0
    spared = cli.run("destroy", "--all", "--yes")
    assert spared.returncode == 0
    assert "protected" in spared.stdout
    assert "protected" in cli.run("destroy", "102", "--yes").stderr
    cli.guest("102", protected=False)
    cli.run("apply", "--yes")
    assert cli.run("destroy", "--all").returncode == 64
    assert cli.run("destroy", "--all", "--yes").returncode == 0
    assert json.loads((cli.folder / "sim.json").read_text())["guests"] == {}


def test_a_starter_folder_is_valid_and_can_be_applied(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "new"
    assert cli.run("init", str(folder)).returncode == 0
    environ = {"PHOENIX_DIR": str(folder)}
    told = json.loads(cli.run("--json", "validate", **environ).stdout)
    assert told == {"format": 1, "ok": True, "problems": []}
    for path in folder.glob("phoenix_*.json"):
        schema = json.loads(path.read_text())["$schema"]
        assert (folder / schema).is_file()
    assert cli.run("apply", "--yes", **environ).returncode == 0
    other = tmp_path / "Other Größe"
    assert cli.run("init", str(other)).returncode == 0
    stacks = [
        json.loads((one / "phoenix_hypervisor_config.json").read_text())["hypervisor"]
        for one in (folder, other)
    ]
    assert [one["stack"] for one in stacks] == ["new", "other-grosse"]
    assert not set(stacks[0]["pools"]) & set(stacks[1]["pools"])
    again = cli.run("init", str(folder))
    assert again.returncode == 64
    assert "nothing was written" in again.stderr


def test_the_real_features_are_checked_with_the_files(cli: Cli) -> None:
    cli.guest("101", features=["nginx"], nginx={"sites": ["nowhere"], "client_max_body": 3})
    told = cli.json("validate")["problems"]
    assert [(p["pointer"], p["severity"]) for p in told] == [
        ("/lxc_configs/101/nginx/sites/0", "error"),
        ("/lxc_configs/101/nginx/client_max_body", "error"),
    ]
    assert "sites/nowhere" in told[0]["message"]
    assert "client_max_body_mb" in told[1]["hint"]


def test_a_missing_secret_is_told_and_hinders_no_rehearsal(cli: Cli) -> None:
    roles = [{"name": "a", "password": {"secret": "NOT_THERE"}}]
    cli.guest("101", features=["postgresql"], postgresql={"roles": roles})
    done = cli.run("plan")
    assert done.returncode == 0
    assert "the secret NOT_THERE has no value yet" in done.stderr
    assert "phoenix secrets set NOT_THERE" in done.stderr
    assert cli.run("plan", NOT_THERE="x").stderr == ""


def test_completion_and_help(cli: Cli) -> None:
    shown = cli.run("--help").stdout
    for command in ("init", "validate", "schema", "plan", "apply", "destroy", "status", "check",
                    "exec", "logs", "shell", "doctor"):  # fmt: skip
        assert command in shown
        assert "Example" in cli.run(command, "--help").stdout
    # The shell is looked for among the parents of the process: not where there is none.
    said = cli.run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "phoenix" in said.stdout


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["101", "--dry-run"], 0, "lxc/101"),
        (["--LetsGo"], 0, "nothing real was made"),
        (["101", "--reconfigure"], 0, "nothing real was made"),
        (["--smoke-test"], 1, "absent"),
        (["--setup-hypervisor"], 1, "the simulated node has no host"),
        (["--setup-hypervisor", "--dry-run"], 1, "the simulated node has no host"),
        (["--setup-hypervisor", "101"], 64, "takes no ids"),
        (["--test", "x"], 64, "not built yet"),
        (["--setup-hypervisor", "--wipe-disks"], 64, "host apply --wipe-disks SERIAL"),
        (["--unknown"], 64, "unknown flag"),
        (["web"], 64, "is no id"),
        ([], 64, "name an id"),
        (["--LetsGo", "--reconfigure"], 64, "--reconfigure takes ids"),
        (["101", "--LetsGo"], 64, "name no ids"),
        (["--delete", "101"], 1, "not there"),
    ],
)
def test_the_old_way_in(cli: Cli, flags: list[str], status: int, said: str) -> None:
    done = subprocess.run(
        [str(ROOT / "phoenix_orchestrator.sh"), *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "PHOENIX_DIR": str(cli.folder),
            "PHOENIX_ON": "sim",
            "PHOENIX_SIM_STATE": str(cli.folder / "sim.json"),
        },
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
