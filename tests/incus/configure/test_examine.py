"""A guest is asked what differs, and nothing in it changes."""

from collections.abc import Callable

import pytest
from tests.support.configurebench import PASSWORD, TOKEN, ConfigureBench

from phoenix_hypervisor.model.desired import Script
from phoenix_hypervisor.model.drift import Difference, FeatureDrift, GuestDrift
from phoenix_hypervisor.model.errors import TimedOut
from phoenix_hypervisor.shell import Shell

pytestmark = pytest.mark.incus

# Names, modes, owners, sizes, both times and links; then contents; then when services began.
LOOK = """
folders="/etc /root /opt /srv /home /usr/local /var/lib/phoenix /run/phoenix /tmp /var/tmp"
for folder in $folders; do
  find $folder -xdev -printf '%p %y %m %U:%G %s %T@ %C@ %l\\n' 2>/dev/null
done | grep -v '^/tmp/systemd-private\\|^/tmp \\|^/var/tmp ' | sort
find $folders -xdev -type f -exec sha256sum {} + 2>/dev/null | sort
systemctl show --property=Id,ActiveState,InvocationID,ActiveEnterTimestampMonotonic \
  'ssh*' 'probe*' cron.service systemd-journald.service
dpkg -l | sha256sum
cut -d: -f1-4 /etc/passwd /etc/group
"""


def one(drift: GuestDrift) -> FeatureDrift:
    (found,) = drift.features
    return found


def told(found: FeatureDrift) -> list[tuple[str, str, str, str]]:
    return [(d.kind, d.what, d.before, d.after) for d in found.differences if not d.follows]


def unchanged(bench: ConfigureBench, examine: Callable[[], GuestDrift]) -> GuestDrift:
    """Examines, and compares the guest before and after."""
    before = bench.inside(LOOK)
    found = examine()
    after = bench.inside(LOOK)
    differing = set(before.splitlines()) ^ set(after.splitlines())
    assert not differing
    assert "PHOENIX" not in bench.inside(
        "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep _RUN=t; :"
    )
    return found


def test_a_guest_that_was_never_configured(bench: ConfigureBench) -> None:
    bench.inside(
        "systemctl disable --now probe.service 2>/dev/null; userdel prober 2>/dev/null;"
        " rm -rf /etc/probe.txt /etc/systemd/system/probe.service /var/lib/phoenix; :"
    )
    found = one(unchanged(bench, lambda: bench.examine(("probe", {}))))
    assert (found.current, found.run, found.at) == (None, "", "")
    # The feature stumbles over the file that was not written: what comes then is not known.
    assert told(found) == [("file", "/etc/probe.txt", "missing", "made")]
    assert found.differences[0].diff.splitlines() == ["@@ -0,0 +1 @@", "+hello"]
    assert "a fact must see" in found.unknown
    assert "can't be known before" in found.unknown
    assert not found.failed
    assert "/var/lib/phoenix" not in bench.inside("ls -d /var/lib/phoenix 2>&1 || echo none")[:5]


def test_after_configuring_nothing_differs_and_the_run_is_told(bench: ConfigureBench) -> None:
    bench.run(("probe", {}), ("second", {}))
    drift = unchanged(bench, lambda: bench.examine(("probe", {})))
    assert not drift.drifted
    found = one(drift)
    assert (found.differences, found.current, found.run) == ((), True, "test")
    assert found.at.startswith("20")
    assert found.at.endswith("+00:00")


def test_each_change_by_hand_is_told_and_configuring_mends_it(bench: ConfigureBench) -> None:
    bench.run(("probe", {}))
    bench.inside(
        "printf 'hello\\nby hand\\n' >/etc/probe.txt; chmod 777 /etc/probe.txt;"
        " systemctl disable --now probe.service 2>&1; usermod -s /bin/bash prober;"
        " sed -i s/inf/99/ /etc/systemd/system/probe.service; systemctl daemon-reload"
    )
    found = one(unchanged(bench, lambda: bench.examine(("probe", {}))))
    assert told(found) == [
        ("file", "/etc/probe.txt", "", ""),
        ("mode", "/etc/probe.txt", "777", "640"),
        ("file", "/etc/systemd/system/probe.service", "", ""),
        ("service", "probe.service", "not running", "running"),
        ("service", "probe.service", "not started at boot", "started at boot"),
        ("user", "prober", "there", "usermod -s /bin/sh"),
    ]
    diffs = [d.diff.splitlines() for d in found.differences if d.diff]
    assert diffs[0][1:] == [" hello", "-by hand"]
    assert diffs[1][1:] == [
        " [Service]",
        "-ExecStart=/bin/sleep 99",
        "+ExecStart=/bin/sleep inf",
        " [Install]",
        " WantedBy=multi-user.target",
    ]
    assert [d.after for d in found.differences if d.follows] == ["reads its units again"]
    bench.run(("probe", {}), everything=True)
    assert not bench.examine(("probe", {})).drifted


def test_other_options_are_old_and_shown(bench: ConfigureBench) -> None:
    bench.run(("probe", {}))
    found = one(bench.examine(("probe", {"text": "good bye", "command": "touch /root/ran"})))
    assert found.current is False
    assert told(found)[0][:2] == ("file", "/etc/probe.txt")
    assert found.differences[-1] == Difference(
        "command", "Command", operation="Command", follows=True
    )
    assert bench.inside("ls /root/ran 2>/dev/null; cat /etc/probe.txt") == "hello"


def test_a_package_that_is_missing(bench: ConfigureBench) -> None:
    bench.run(("probe", {}))
    options = {"package": "cowsay"}
    found = one(unchanged(bench, lambda: bench.examine(("probe", options))))
    assert ("package", "cowsay", "not installed", "installed") in told(found)


@pytest.mark.parametrize("text", ["other user", "goes on"])
def test_odd_operations_are_only_told(bench: ConfigureBench, text: str) -> None:
    bench.inside("userdel -r odd 2>/dev/null; rm -f /tries /nested")
    found = one(unchanged(bench, lambda: bench.examine(("odd", {"text": text}))))
    assert found.differences
    assert bench.inside("ls /tries /nested 2>/dev/null; :") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [("fact fails", "no such thing"), ("wrong arguments", "nonsense")],
)
def test_what_cannot_be_asked_is_told_as_a_failure(
    bench: ConfigureBench, text: str, words: str
) -> None:
    bench.run(("second", {}))
    drift = bench.examine(("odd", {"text": text}), ("second", {}))
    odd, second = drift.features
    assert odd.failed
    assert words in odd.unknown
    assert not second.failed


def test_no_secret_leaves(bench: ConfigureBench) -> None:
    options = {"text": "exception", "password": {"secret": "PASSWORD"}}
    bench.inside("rm -f /etc/secretive")
    found = one(bench.examine(("secretive", options)))
    assert told(found)[0][:3] == ("file", "/etc/secretive", "missing")
    shown = repr(found) + "".join(bench.told)
    for value in (PASSWORD, TOKEN, "pass\\word", "pass\\\\word"):
        assert value not in shown
    assert "[secret]" in shown
    # What stood there before may be a secret that nobody knows any more.
    bench.inside("umask 077; echo 'old-secret and more' >/etc/secretive")
    assert "old-secret" not in repr(bench.examine(("secretive", options)))


def test_a_script_is_said_to_have_run_or_not(bench: ConfigureBench) -> None:
    path = bench.folder / "app.sh"
    path.write_text("#!/bin/sh\ntrue\n")
    script = Script(path, ("one",), ())
    never = one(bench.examine(script=script))
    assert (never.asked, never.current, never.drifted) == (False, None, True)
    bench.run(script=script)
    same = one(bench.examine(script=script))
    assert (same.asked, same.current, same.drifted) == (False, True, False)
    assert same.run == "test"
    path.write_text("#!/bin/sh\nfalse\n")
    other = one(bench.examine(script=script))
    assert (other.current, other.drifted) == (False, True)


def test_a_run_that_works_there_is_told_and_left_alone(bench: ConfigureBench) -> None:
    bench.run(("second", {}))
    bench.inside("mkdir -p /run/phoenix; printf abc123.99 >/run/phoenix/run")
    drift = unchanged(bench, lambda: bench.examine(("second", {})))
    assert any("run abc123 configures it now" in note for note in drift.notes)
    bench.inside("rm -r /run/phoenix")


def test_a_clone_was_never_configured_as_itself(bench: ConfigureBench) -> None:
    bench.run(("probe", {}))
    bench.inside("sed -i s,lxc/9501,lxc/9000, /var/lib/phoenix/applied.json")
    drift = bench.examine(("probe", {}))
    assert one(drift).current is None
    assert any("that of lxc/9000" in note for note in drift.notes)


def test_too_slow_a_guest_is_given_up_and_nothing_goes_on_there(bench: ConfigureBench) -> None:
    bench.limit_s = 2.0
    with pytest.raises(TimedOut):
        bench.examine(("odd", {"text": "fact is slow"}))
    with Shell(bench.way_in) as shell:
        assert not shell.run("pgrep -f 'sleep 271'", timeout_s=30).ok
