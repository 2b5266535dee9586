"""`phoenix drift` on a simulated node, and how drift inside of guests is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from tests.unit.cli.test_commands import Cli

from phoenix_hypervisor.app.drift import Drift
from phoenix_hypervisor.cli import _drift
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.drift import Difference, FeatureDrift, GuestDrift
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.model.plan import Plan


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101", features=["redis"])
    made.guest("102")
    assert made.run("apply", "--yes").returncode == 0
    return made


def edit(cli: Cli, change: Any) -> None:
    path = cli.folder / "sim.json"
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))


class TestOnTheTarget:
    def test_nothing_differs(self, cli: Cli) -> None:
        for words in ((), ("--deep",), ("--deep", "101")):
            done = cli.run("drift", *words, "--detailed-exitcode")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "none" in done.stdout
        told = cli.json("drift", "--deep")
        assert (told["drift"], told["changes"], told["deep"]) == (False, [], True)
        assert [guest["unasked"] for guest in told["guests"]] == [
            "simulated: there is no inside",
            "the files say nothing of its inside",
        ]

    def test_a_field_that_differs_is_told_with_both_values(self, cli: Cli) -> None:
        cli.guest("102", memory_mb=512)
        done = cli.run("drift")
        assert done.returncode == 0
        assert "lxc/102 (guest102): differs" in done.stdout
        assert "is 256, the files say 512" in done.stdout
        assert cli.run("drift", "--detailed-exitcode").returncode == 2
        assert cli.run("drift", "101", "--detailed-exitcode").returncode == 0
        assert cli.json("drift")["drift"] is True

    def test_a_guest_that_is_gone_and_one_that_is_no_longer_named(self, cli: Cli) -> None:
        cli.guest("103")
        del cli.guests["102"]
        cli.write()
        done = cli.run("drift", "--deep")
        assert "lxc/103 (guest103): missing" in done.stdout
        assert "no longer in the files: lxc/102" in done.stdout
        assert "lxc/103 (guest103) inside: not asked, it is not there" in done.stdout
        assert "phoenix apply --prune" in done.stdout

    def test_other_options_make_the_inside_old(self, cli: Cli) -> None:
        cli.guest("101", redis={"memory_mb": 64})
        done = cli.run("drift", "--detailed-exitcode")
        assert done.returncode == 2
        assert "lxc/101 (guest101): inside is old" in done.stdout

    def test_the_last_run_that_the_history_knows_is_told(self, cli: Cli) -> None:
        cli.guest("102", memory_mb=512)
        (run,) = cli.json("history")["runs"]
        assert f"({run['id']}): ok" in cli.run("drift").stdout
        assert cli.json("drift")["last_run"]["id"] == run["id"]
        (cli.folder / ".phoenix/history.sqlite3").write_bytes(b"no database")
        done = cli.run("drift", "--detailed-exitcode")
        assert (done.returncode, "last run" in done.stdout) == (2, False)

    def test_wrong_usage_and_bad_files(self, cli: Cli) -> None:
        assert cli.run("drift", "nobody").returncode == 64
        assert cli.run("drift", "--deep", "nobody").returncode == 64
        cli.guest("101", memory_mb="much")
        done = cli.run("--json", "drift", "--detailed-exitcode")
        assert done.returncode == 1
        assert json.loads(done.stdout)["ok"] is False


def found(*features: FeatureDrift, **words: Any) -> Drift:
    guest = GuestDrift(lxc(101), "cache", tuple(features), **words)
    return Drift(Plan("lab", "incus"), Observed(), (guest,))


def shown(drift: Drift) -> str:
    return Text.from_markup(_drift.text(drift, deep=True)).plain


class TestInside:
    def test_it_reads_like_a_diff(self) -> None:
        redis = FeatureDrift(
            "redis",
            (
                Difference("package", "redis-tools", "not installed", "installed"),
                Difference("file", "/etc/redis/phoenix.conf", diff="@@ -1 +1 @@\n-[a]\n+b"),
                Difference("command", "Make it", after="one\ntwo"),
                Difference("service", "redis.service", "running", "restarted", follows=True),
            ),
            run="abc",
            at="2026-11-22T04:47:19+00:00",
        )
        assert shown(found(redis)).splitlines()[1:] == [
            "  lxc/101 (cache) inside: 4 differences",
            "    redis · applied 2026-11-22 04:47:19 UTC by the run abc; changed in the guest "
            "since",
            "      package redis-tools: not installed → installed",
            "      file /etc/redis/phoenix.conf",
            "        @@ -1 +1 @@",
            "        -[a]",
            "        +b",
            "      command Make it",
            "        $ one",
            "        $ two",
            "      then: redis.service restarted",
            "",
            "Mend it: `phoenix apply --reconfigure lxc/101`, which runs these guests' features "
            "again.",
        ]

    def test_what_is_old_is_said_to_be_so(self) -> None:
        old = FeatureDrift("redis", (), current=False, at="2026-11-01T00:00:00+00:00")
        drift = found(old)
        assert drift.drifted
        assert "old, though nothing in it differs" in shown(drift)
        assert "old: applied 2026-11-01 00:00:00 UTC with other options" in shown(drift)
        assert "never applied here" in shown(found(FeatureDrift("redis", current=None)))

    def test_what_cannot_be_known_fails_only_where_nothing_explains_it(self) -> None:
        unknown = FeatureDrift("redis", unknown="a fact failed", failed=True)
        drift = found(unknown)
        assert (drift.failed, drift.drifted) == (True, False)
        assert "could not be asked" in shown(drift)
        assert "not known: a fact failed" in shown(drift)
        explained = FeatureDrift(
            "redis", (Difference("package", "redis", "not installed", "installed"),), unknown="so"
        )
        assert (found(explained).failed, found(explained).drifted) == (False, True)

    def test_what_went_wrong_on_the_way_is_a_failure(self) -> None:
        assert not found(unasked="it is stopped").failed
        drift = found(unasked="the worker process ended in the middle", broken=True)
        assert drift.failed
        assert "not asked, the worker process ended" in shown(drift)

    def test_a_script_cannot_be_asked(self) -> None:
        same = FeatureDrift("application_script", asked=False, at="2026-11-01T00:00:00+00:00")
        assert not found(same).drifted
        assert "a script can't be asked; it ran 2026-11-01 00:00:00 UTC with the same" in shown(
            found(same)
        )

    def test_words_of_a_guest_are_no_markup(self) -> None:
        evil = Difference("file", "[bold]/x[/]", diff="-[/red] x [link=y]")
        text = shown(found(FeatureDrift("redis", (evil,))))
        assert "file [bold]/x[/]" in text
        assert "-[/red] x [link=y]" in text

    def test_json_has_it_all(self) -> None:
        drift = found(FeatureDrift("redis", (Difference("mode", "/x", "600", "644"),)))
        told = json.loads(json.dumps(_drift.as_json(drift, deep=True)))
        (guest,) = told["guests"]
        assert (told["drift"], guest["drift"], guest["asked"]) == (True, True, True)
        assert guest["features"][0]["differences"][0] == {
            "kind": "mode",
            "what": "/x",
            "before": "600",
            "after": "644",
            "diff": "",
            "operation": "",
            "follows": False,
        }
