"""`slo` and `alerts`, as a person and a program call them, over real measurements."""

import json
import time
from pathlib import Path

import pytest
from tests.support.receivers import hook
from tests.unit.cli.test_commands import FOLDER, Cli

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.watching import Answer, Happening
from phoenix_hypervisor.watch.store import WHOLE, Store
from phoenix_hypervisor.watch.time_line import State, Stretch

WEB, DB = lxc(101), lxc(102)
HOUR = 3600


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101", name="web", slo={"availability": 99.9, "latency_p95_ms": 200})
    made.guest("102", name="db")
    made.guest("103", name="base", template_snapshot_name="base")
    return made


def watched(cli: Cli, down_s: float) -> None:
    """The last hour of `web`, in which it was down for so long, a while ago."""
    now = time.time()
    begin, fault = now - HOUR + 60, now - HOUR / 2
    answers = [Answer(WEB, "http", "http", now - n, "up", "", 20, slow=n == 0) for n in range(10)]
    Store.create(cli.folder).write(
        answers,
        [
            ((WEB, WHOLE), Stretch(begin, fault, State.UP)),
            ((WEB, WHOLE), Stretch(fault, fault + down_s, State.DOWN)),
            ((WEB, WHOLE), Stretch(fault + down_s, now, State.UP)),
        ],
    )


def test_nothing_was_watched_yet(cli: Cli) -> None:
    told = cli.run("slo", "--strict")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[1].split()[:4] == ["lxc/101", "web", "99.9", "%,"]
    assert lines[2].split()[:3] == ["lxc/102", "db", "-"]
    assert lines[-1].startswith("nothing was watched in the last 30 days")
    assert "base" not in told.stdout


def test_a_table_and_a_document(cli: Cli) -> None:
    watched(cli, 60)
    _, web, watched_part, db = cli.run("slo").stdout.splitlines()
    assert web.split()[2:10] == ["99.9", "%,", "200", "ms", "98.31", "%", "98.31", "%"]
    assert watched_part.split() == ["watched", "98", "%", "4.1", "%", "0.6", "%", "0.1", "%"]
    assert "███████" not in db
    assert "98 % (42 min)" in web  # 2592 - 60 s are left
    assert web.rstrip().endswith("90.00 %")
    document = cli.json("slo")
    assert not document["ok"]  # 1 of 10 answers was late
    told = {one["address"]: one for one in document["guests"]}
    month = told[WEB]["windows"]["30d"]
    assert month["left_s"] == pytest.approx(2532, abs=1)
    assert (month["kept"], month["in_time"], told[WEB]["broken"]) == (None, False, True)
    assert told[WEB]["objective"] == {"availability": 99.9, "latency_p95_ms": 200}
    assert told[DB]["windows"]["1h"]["availability"] is None


@pytest.mark.parametrize(
    ("down_s", "told"),
    [
        (0.0, "██████████ 100 % (43 min)"),
        (6.4, "█████████░ 99.8 % (43 min)"),  # of 2592 s
        (1.0, "█████████░ 99.96 % (43 min)"),
        (52.0, "█████████░ 98 % (42 min)"),
        (2500.0, "█░░░░░░░░░ 4 % (92 s)"),
    ],
)
def test_what_is_left_is_never_rounded_up_to_all(cli: Cli, down_s: float, told: str) -> None:
    now = time.time()
    begin = now - 2 * HOUR
    Store.create(cli.folder).write(
        [],
        [
            ((WEB, WHOLE), Stretch(begin, begin + down_s, State.DOWN)),
            ((WEB, WHOLE), Stretch(begin + down_s, now, State.UP)),
        ],
    )
    assert told in cli.run("slo").stdout


def test_strict_fails_for_a_broken_promise_only(cli: Cli) -> None:
    cli.guest("101", slo={"availability": 99.9})
    watched(cli, 60)
    assert cli.run("slo", "--strict").returncode == 0
    cli.guest("101", slo={"availability": 99.999})
    assert cli.run("slo", "--strict").returncode == 1
    assert "broken by 34 s" in cli.run("slo").stdout
    assert cli.run("slo").returncode == 0
    assert cli.run("slo", "--strict", "db").returncode == 0
    assert cli.run("slo", "--strict", "web").returncode == 1
    assert cli.run("slo", "nobody").returncode == 64


def test_a_promise_of_all_guests(cli: Cli) -> None:
    host = FOLDER | {"watch": {"slo": {"availability": 99.5}}}
    (cli.folder / "phoenix_hypervisor_config.json").write_text(json.dumps(host))
    told = {one["name"]: one["objective"] for one in cli.json("slo")["guests"]}
    assert told["web"]["availability"] == 99.9
    assert told["db"] == {"availability": 99.5, "latency_p95_ms": None}


def test_files_with_errors(cli: Cli) -> None:
    cli.guest("101", slo={"availability": 200})
    told = cli.run("slo")
    assert told.returncode == 1
    assert "`availability` must be at most 100, but is 200" in told.stderr
    assert cli.run("alerts", "list").returncode == 1


def alerting(cli: Cli, **urls: str) -> dict[str, str]:
    """Targets by name, their URLs in secrets; gives the environment with those."""
    targets = {name: {"url": {"secret": f"{name.upper()}_URL"}} for name in urls}
    host = FOLDER | {"watch": {"alerts": {"targets": targets}}}
    (cli.folder / "phoenix_hypervisor_config.json").write_text(json.dumps(host))
    return {f"{name.upper()}_URL": url for name, url in urls.items()}


def test_a_test_message(cli: Cli) -> None:
    with hook() as served:
        bad = "json://ada:open-sesame@127.0.0.1:1/T0KEN"
        environ = alerting(cli, ops=served.url("T0KEN"), chat=bad)
        told = cli.run("alerts", "test", **environ)
        assert told.returncode == 1
        assert told.stdout == "✓ ops was told\n"
        assert "✗ the alert target `chat` was not told: " in told.stderr
        assert "sesame" not in told.stdout + told.stderr
        assert "T0KEN" not in told.stdout + told.stderr
        assert served.got.get_nowait()["title"] == "a test of Phoenix's alerts"
        one = cli.run("--log-level", "debug", "alerts", "test", "ops", **environ)
        assert one.returncode == 0
        assert "T0KEN" not in one.stdout + one.stderr
        document = json.loads(cli.run("--json", "alerts", "test", **environ).stdout)
    assert not document["ok"]
    assert [(each["name"], each["ok"]) for each in document["targets"]] == [
        ("ops", True),
        ("chat", False),
    ]


def test_targets_that_are_not_there(cli: Cli) -> None:
    told = cli.run("alerts", "test")
    assert (told.returncode, told.stdout) == (64, "")
    assert "there is no alert target" in told.stderr
    environ = alerting(cli, ops="json://127.0.0.1:1")
    assert cli.run("alerts", "test", "opps", **environ).returncode == 64
    unset = cli.run("alerts", "test")
    assert unset.returncode == 1
    assert "the secret OPS_URL has no value" in unset.stderr


def test_what_was_told_and_is_not_over(cli: Cli) -> None:
    assert "nothing is wrong" in cli.run("alerts", "list").stdout
    at = time.time() - 600
    Store.create(cli.folder).write(
        [], [], [Happening(at, "alert", WEB, "lxc/101 (web) is down: [b]no", "page down lxc/101")]
    )
    assert cli.run("alerts", "list").stdout == (
        "page lxc/101 (web) is down: [b]no (told 10 min ago)\n"
    )
    [told] = cli.json("alerts", "list")["alerts"]
    assert (told["address"], told["severity"]) == (WEB, "page")
