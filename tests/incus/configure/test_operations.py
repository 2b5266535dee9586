"""What runs on a real guest, in which order, and what does not run again."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.configurebench import PASSWORD, ConfigureBench

from phoenix_hypervisor.model.desired import Script
from phoenix_hypervisor.model.secret import Secret

pytestmark = pytest.mark.incus


def test_operations_run_once_and_the_second_run_does_nothing(
    bench: ConfigureBench, capfd: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "page.html").write_text("<p>")
    uses: tuple[tuple[str, dict[str, Any]], ...] = (
        ("probe", {"package": "tree", "source": "page.html", "command": "echo working hard"}),
        ("second", {}),
    )
    bench.inside("rm -f /etc/probe.txt*")
    result = bench.run(*uses)
    assert (result.ran, result.unchanged) == (("probe", "second"), ())
    assert bench.inside("cat /etc/probe.txt; stat -c %a /etc/probe.txt") == "hello640\n"
    assert bench.inside("cat /etc/probe.txt.uploaded; command -v tree") == "<p>/usr/bin/tree\n"
    assert bench.inside("systemctl is-active probe; systemctl is-enabled probe").split() == [
        "active",
        "enabled",
    ]
    assert "probe.service" in bench.inside("systemctl show --property Wants multi-user.target")
    assert bench.inside("systemctl show --property NeedDaemonReload probe").endswith("=no\n")
    assert "probe: Write" in bench.told
    assert "probe: Write: changed" in bench.told
    assert "probe: Command: working hard" in bench.told
    record = json.loads(bench.inside("cat /var/lib/phoenix/applied.json"))
    assert record["address"] == "lxc/9501"
    assert list(record["features"]) == ["probe", "second"]
    assert bench.inside(
        "stat -c '%a %U' /var/lib/phoenix/applied.json /var/lib/phoenix"
    ).split() == [
        *("600", "root"),
        *("700", "root"),
    ]
    assert bench.inside("ls /run/phoenix") == ""

    bench.told.clear()
    again = bench.run(*uses)
    assert (again.ran, again.unchanged, bench.told) == ((), ("probe", "second"), [])

    forced = bench.run(("probe", uses[0][1] | {"command": None}), everything=True)
    assert (forced.ran, forced.changed) == (("probe",), 0)  # each operation found it so already
    assert list(json.loads(bench.inside("cat /var/lib/phoenix/applied.json"))["features"]) == [
        "probe"
    ]
    assert capfd.readouterr() == ("", "")


def test_only_the_feature_whose_options_changed_runs(bench: ConfigureBench) -> None:
    bench.run(("probe", {}), ("second", {}))
    result = bench.run(("probe", {"text": "other"}), ("second", {}))
    assert (result.ran, result.unchanged) == (("probe",), ("second",))


def test_what_a_feature_runs_ends_where_it_is_taken_out(bench: ConfigureBench) -> None:
    bench.run(("probe", {}), ("second", {}))
    assert bench.inside("systemctl is-active probe").strip() == "active"
    result = bench.run(("second", {}))
    assert result.found == ("probe was taken out of its features: what it ran was ended",)
    states = bench.inside("systemctl is-active probe; systemctl is-enabled probe; true")
    assert states.split() == ["inactive", "disabled"]
    assert bench.inside("cat /etc/probe.txt")  # what it wrote stays
    assert bench.run(("second", {})).found == ()
    bench.run(("probe", {}))
    assert bench.inside("systemctl is-active probe").strip() == "active"


def test_other_users_working_folder_input_and_exit_codes(bench: ConfigureBench) -> None:
    bench.run(("odd", {"text": "other user"}))
    assert (
        bench.inside("cd /home/odd; cat who said file; stat -c %U file")
        == "odd\nby stdin\ntheirsodd\n"
    )


def test_ignored_errors_retries_own_time_limits_and_nested_operations(
    bench: ConfigureBench,
) -> None:
    bench.inside("rm -f /tries /nested")
    bench.run(("odd", {"text": "goes on"}))
    assert (
        bench.inside("wc -l </tries; ls /nested; pgrep -x sleep -a | grep ' 30'") == "3\n/nested\n"
    )


def test_an_interrupted_installation_is_completed(bench: ConfigureBench) -> None:
    bench.inside("apt-get update; apt-get install -y --download-only hello sl; dpkg --purge sl")
    assert "unpacked" in bench.inside(
        "cd /var/cache/apt/archives; dpkg --unpack sl_*.deb >/dev/null; dpkg -s sl | grep Status"
    )
    bench.run(("second", {}))
    assert "install ok installed" in bench.inside("dpkg -s sl | grep Status")
    assert "completed an interrupted installation of packages" in bench.told


class TestScript:
    def test_it_runs_last_with_arguments_and_environment(self, bench: ConfigureBench) -> None:
        path = bench.folder / "app.sh"
        path.write_text(
            '#!/bin/bash\ncat /etc/probe.txt\nprintf \'%s|\' "$@"; echo "$PASSWORD" >/root/said\n'
            "tr '\\0' ' ' </proc/$$/cmdline >/root/arguments; echo progress\nnohup sleep 4716 &\n"
        )
        script = Script(path, ("a b", "$c"), (("PASSWORD", Secret(name="PASSWORD")), ("X", "1")))
        result = bench.run(("probe", {}), script=script)
        assert result.ran == ("probe", "application_script")
        assert bench.inside("cat /root/said") == f"{PASSWORD}\n"
        assert "pass" not in bench.inside("cat /root/arguments")
        assert any(line.startswith("application_script: helloa b|$c|") for line in bench.told)
        assert bench.inside("pgrep -f 'sleep 471[6]'") != ""
        bench.inside("pkill -f 'sleep 471[6]'")

        assert bench.run(("probe", {}), script=script).ran == ()
        assert bench.run(("probe", {}), script=replace(script, args=("b",))).ran == (
            "application_script",
        )
        changed = replace(script, args=("b",), env=(("PASSWORD", Secret(literal="new")),))
        assert bench.run(("probe", {}), script=changed).ran == ("application_script",)
        path.write_text("#!/bin/sh\n")
        assert bench.run(("probe", {}), script=changed).ran == ("application_script",)
        assert bench.run(("probe", {}), script=changed).ran == ()
