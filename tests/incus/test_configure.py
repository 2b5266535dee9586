"""Features on a real guest: what runs, what doesn't, what is said when it fails, what is left."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.probe_features import FEATURES, ProbeOptions
from tests.support.scratch import Scratch

from phoenix_hypervisor.configure import Configurator, ConfigureResult, fingerprints
from phoenix_hypervisor.model.desired import FeatureUse, Guest, Script
from phoenix_hypervisor.model.errors import (
    ConfigureFailed,
    PhoenixError,
    SecretMissing,
    TimedOut,
    Unreachable,
)
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.shell import Shell

pytestmark = pytest.mark.incus

PASSWORD = 'it\'s a "pass\\word" $HOME/ü'
TOKEN = "tok-12345"
SECRETS = {"PASSWORD": PASSWORD, "TOKEN": TOKEN}
S = 30.0


def secret(name: str) -> str:
    try:
        return SECRETS[name]
    except KeyError:
        raise SecretMissing(f"no {name}") from None


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    with Scratch.opened("phxcfg", "10.217.61.1/24", tmp_path_factory.mktemp("folder")) as made:
        yield made


@pytest.fixture(scope="module")
def guest(scratch: Scratch) -> Guest:
    return scratch.guest(7201)


@pytest.fixture(scope="module")
def way_in(scratch: Scratch, guest: Guest) -> list[str]:
    return scratch.make(guest)


@pytest.fixture
def inside(way_in: list[str]) -> Iterator[Callable[[str], str]]:
    """Asks something inside; the guest forgets what was applied before each test."""
    with Shell(way_in) as shell:
        shell.run("rm -rf /var/lib/phoenix/applied.json /run/phoenix", timeout_s=S)
        yield lambda script: shell.run(script, timeout_s=S).said().out


class Bench:
    """Configures the guest with some features and keeps what was told."""

    def __init__(self, scratch: Scratch, guest: Guest, way_in: list[str]) -> None:
        self.scratch, self.guest, self.way_in = scratch, guest, way_in
        self.told: list[str] = []
        self.limit_s = 120.0
        self._heard: dict[str, Callable[[], None]] = {}

    def hear(self, text: str, then: Callable[[], None]) -> None:
        """Calls it when that is told."""
        self._heard[text] = then

    def tell(self, text: str) -> None:
        """Keeps what is told."""
        self.told.append(text)
        self._heard.get(text, lambda: None)()

    def using(self, *uses: tuple[str, dict[str, Any]], script: Script | None = None) -> Guest:
        features = tuple(
            FeatureUse(name, ProbeOptions.model_validate(options)) for name, options in uses
        )
        return replace(self.guest, features=features, script=script)

    async def configure(
        self, *uses: tuple[str, dict[str, Any]], script: Script | None = None, **more: bool
    ) -> ConfigureResult:
        guest = self.using(*uses, script=script)
        desired = self.scratch.desired(guest)
        prints = fingerprints(
            guest, desired, FEATURES, self.scratch.folder, lambda each: each.reveal(secret)
        )
        async with self.configurator() as configurator:
            return await configurator.configure(
                guest, desired, self.way_in, prints, self.tell, **more
            )

    def configurator(self) -> Configurator:
        return Configurator(
            features=FEATURES,
            secrets=secret,
            folder=self.scratch.folder,
            run_id="test",
            limit_s=self.limit_s,
        )

    def run(self, *uses: tuple[str, dict[str, Any]], **more: Any) -> ConfigureResult:
        return asyncio.run(self.configure(*uses, **more))


@pytest.fixture
def bench(scratch: Scratch, guest: Guest, way_in: list[str], inside: object) -> Bench:
    return Bench(scratch, guest, way_in)


def test_operations_run_once_and_the_second_run_does_nothing(
    bench: Bench, inside: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    (bench.scratch.folder / "page.html").write_text("<p>")
    uses: tuple[tuple[str, dict[str, Any]], ...] = (
        ("probe", {"package": "tree", "source": "page.html", "command": "echo working hard"}),
        ("second", {}),
    )
    result = bench.run(*uses)
    assert (result.ran, result.unchanged) == (("probe", "second"), ())
    assert inside("cat /etc/probe.txt; stat -c %a /etc/probe.txt") == "hello640\n"
    assert inside("cat /etc/probe.txt.uploaded; command -v tree") == "<p>/usr/bin/tree\n"
    assert inside("systemctl is-active probe; systemctl is-enabled probe").split() == [
        "active",
        "enabled",
    ]
    assert "probe: Write" in bench.told
    assert "probe: Write: changed" in bench.told
    assert "probe: Command: working hard" in bench.told
    record = json.loads(inside("cat /var/lib/phoenix/applied.json"))
    assert record["address"] == "lxc/7201"
    assert list(record["features"]) == ["probe", "second"]
    assert inside("stat -c '%a %U' /var/lib/phoenix/applied.json /var/lib/phoenix").split() == [
        *("600", "root"),
        *("700", "root"),
    ]
    assert inside("ls /run/phoenix") == ""

    bench.told.clear()
    again = bench.run(*uses)
    assert (again.ran, again.unchanged, bench.told) == ((), ("probe", "second"), [])

    forced = bench.run(("probe", uses[0][1] | {"command": None}), everything=True)
    assert (forced.ran, forced.changed) == (("probe",), 0)  # each operation found it so already
    assert list(json.loads(inside("cat /var/lib/phoenix/applied.json"))["features"]) == ["probe"]
    assert capfd.readouterr() == ("", "")


def test_only_the_feature_whose_options_changed_runs(bench: Bench) -> None:
    bench.run(("probe", {}), ("second", {}))
    result = bench.run(("probe", {"text": "other"}), ("second", {}))
    assert (result.ran, result.unchanged) == (("probe",), ("second",))


def test_a_failing_operation_tells_the_commands_own_words(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    broken = {"command": "echo on the way; ls /no/such/folder; echo more >&2; exit 5"}
    with pytest.raises(ConfigureFailed) as caught:
        bench.run(("probe", {}), ("second", broken))
    error = caught.value
    assert error.message == "lxc/7201: second: Command failed (exit status 5)"
    assert error.detail.splitlines()[0] == f"$ {broken['command']}"
    assert "ls: cannot access '/no/such/folder'" in error.detail
    assert error.detail.splitlines()[-1] == "more"
    assert inside("ls /run/phoenix") == ""

    result = bench.run(("probe", {}), ("second", {}))  # goes on where it stopped
    assert (result.ran, result.unchanged) == (("second",), ("probe",))


def test_apt_tells_its_own_words(bench: Bench) -> None:
    with pytest.raises(ConfigureFailed, match=r"odd: apt\.packages failed") as caught:
        bench.run(("odd", {"text": "no such package"}))
    assert "Unable to locate package phoenix-no-such-package" in caught.value.detail


def test_a_feature_that_failed_after_it_was_applied_is_not_applied_any_more(bench: Bench) -> None:
    bench.run(("second", {}))
    with pytest.raises(ConfigureFailed):
        bench.run(("second", {"command": "false"}))
    assert bench.run(("second", {})).ran == ("second",)


@pytest.mark.parametrize("how", ["operation", "exception", "script"])
def test_no_secret_leaves(bench: Bench, inside: Callable[[str], str], how: str) -> None:
    path = bench.scratch.folder / "tell.sh"
    path.write_text('#!/bin/sh\necho "$PASSWORD"; echo "$1: $TOKEN" >&2; sleep 0.2; exit 6\n')
    env = (("PASSWORD", Secret(name="PASSWORD")), ("TOKEN", Secret(literal=TOKEN)))
    options = {"text": how, "password": {"secret": "PASSWORD"}}
    with pytest.raises(ConfigureFailed) as caught:
        bench.run(("secretive", options), script=Script(path, ("first arg",), env))
    error = caught.value
    told = "\n".join((*bench.told, error.message, error.hint, error.detail))
    for value in (PASSWORD, TOKEN, "pass\\word", "pass\\\\word"):
        assert value not in told
    assert "[secret]" in error.detail or "[secret]" in error.message
    assert "secretive: Use [secret]" in bench.told
    assert inside("cat /etc/secretive") == PASSWORD
    assert inside("stat -c %a /etc/secretive") == "600\n"
    match how:
        case "operation":
            assert "exit status 7" in error.message
        case "exception":
            assert "ValueError: the password is" in error.message
            assert "bug of the feature secretive" in error.hint
        case "script":
            assert error.message == "lxc/7201: application_script tell.sh failed (exit status 6)"
            assert "first arg: [secret]" in error.detail


def test_a_missing_secret_is_told_before_anything_runs(bench: Bench) -> None:
    guest = bench.using(("secretive", {"password": {"secret": "NOWHERE"}}))

    async def configure() -> None:
        async with bench.configurator() as configurator:
            await configurator.configure(
                guest, bench.scratch.desired(guest), bench.way_in, {"secretive": "x"}, print
            )

    with pytest.raises(SecretMissing, match="NOWHERE"):
        asyncio.run(configure())


@pytest.mark.parametrize(
    ("text", "message", "detail"),
    [
        ("fact fails", "odd failed (exit status 9)", "no such thing"),
        ("wrong arguments", "TypeError", "nonsense"),
        ("dies", "the worker process ended in the middle", ""),
    ],
)
def test_other_ways_to_fail(bench: Bench, text: str, message: str, detail: str) -> None:
    with pytest.raises(ConfigureFailed, match=re.escape(message)) as caught:
        bench.run(("odd", {"text": text}))
    assert detail in caught.value.detail


def test_a_feature_that_can_not_be_imported(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigureFailed, match="ImportError: no module named gone"):
        bench.run(("unimportable", {}))
    assert capfd.readouterr() == ("", "")


def test_other_users_working_folder_input_and_exit_codes(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    bench.run(("odd", {"text": "other user"}))
    assert (
        inside("cd /home/odd; cat who said file; stat -c %U file") == "odd\nby stdin\ntheirsodd\n"
    )


def test_ignored_errors_retries_own_time_limits_and_nested_operations(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    inside("rm -f /tries /nested")
    bench.run(("odd", {"text": "goes on"}))
    assert inside("wc -l </tries; ls /nested; pgrep -x sleep -a | grep ' 30'") == "3\n/nested\n"


def test_an_operations_own_time_limit(bench: Bench, inside: Callable[[str], str]) -> None:
    with pytest.raises(ConfigureFailed, match="second: Command failed") as caught:
        bench.run(("second", {"command": "echo waiting; sleep 4711", "limit_s": 1}))
    assert "waiting" in caught.value.detail
    assert "took longer than 1 s" in caught.value.detail
    assert inside("pgrep -f 'sleep 471[1]'") == ""


def test_the_guests_time_limit_ends_the_command_inside(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    bench.limit_s = 3
    with pytest.raises(TimedOut, match="second: Command was not done") as caught:
        bench.run(("second", {"command": "echo still here; setsid sleep 4712 & sleep 4712"}))
    assert "still here" in caught.value.detail
    assert inside("pgrep -f 'sleep 471[2]'; ls /run/phoenix") == ""


def test_a_feature_that_hangs_by_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phoenix_hypervisor.configure.runner._GRACE_S", 1.0)
    bench.limit_s = 2
    begun = time.monotonic()
    with pytest.raises(TimedOut, match="configuring it took longer than 2 s"):
        bench.run(("odd", {"text": "sleeps here"}))
    assert time.monotonic() - begun < 15


def test_an_interruption_ends_the_commands_inside(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    async def interrupted() -> None:
        task = asyncio.create_task(bench.configure(("second", {"command": "echo up; sleep 4713"})))
        up = asyncio.Event()
        bench.hear("second: Command: up", up.set)
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert inside("pgrep -f 'sleep 471[3]'; ls /run/phoenix") == ""
    assert bench.run(("second", {})).ran == ("second",)


def test_the_event_loop_is_never_blocked(bench: Bench) -> None:
    gaps: list[float] = []

    async def watch() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    async def both() -> None:
        watching = asyncio.create_task(watch())
        await bench.configure(
            ("second", {"command": "for i in $(seq 2000); do echo $i; done; sleep 1"})
        )
        watching.cancel()

    asyncio.run(both())
    assert max(gaps) < 0.3


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.incus.test_configure import Bench, Scratch
name, cidr, folder, guest_id, *way_in = sys.argv[1:]
scratch = Scratch(name, cidr, Path(folder))
bench = Bench(scratch, scratch.guest(int(guest_id)), way_in)
bench.tell = lambda text: print(text, flush=True)
bench.run(("probe", {}), ("second", {"command": "nohup sleep 4714 >/dev/null & echo up; sleep 4714"}))
"""


def test_a_killed_run_is_cleared_away_and_continued(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    inside("systemd-run --unit=foreign sleep 4715")
    arguments = [bench.scratch.name, bench.scratch.cidr, str(bench.scratch.folder), "7201"]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments, *bench.way_in],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    while "second: Command: up" not in process.stdout.readline():
        assert process.poll() is None
    ours = _children(process.pid)
    assert len(ours) >= 2  # the fork server and the worker
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while any(_runs(pid) for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in ours if _runs(pid)] == []  # workers don't outlive Phoenix
    assert len(inside("pgrep -f 'sleep 471[4]'").split()) >= 2  # but commands in the guest do

    result = bench.run(("probe", {}), ("second", {}))
    assert (result.ran, result.unchanged) == (("second",), ("probe",))
    assert "sleep" in result.ended
    assert re.match(
        r"run test\.[0-9a-f]{8} was broken off here; ended what it left running: .*sleep",
        bench.told[0],
    )
    assert inside("pgrep -f 'sleep 471[4]'") == ""
    assert inside("systemctl is-active foreign").strip() == "active"
    inside("systemctl stop foreign")


def _children(pid: int) -> list[int]:
    """All descendants that are Python: the fork server, its workers, the resource tracker."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(entry.parent.name)
            found += [child, *_children(child)]
    return [each for each in found if b"python" in Path(f"/proc/{each}/cmdline").read_bytes()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupted_installation_is_completed(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    inside("apt-get update; apt-get install -y --download-only hello sl; dpkg --purge sl")
    assert "unpacked" in inside(
        "cd /var/cache/apt/archives; dpkg --unpack sl_*.deb >/dev/null; dpkg -s sl | grep Status"
    )
    bench.run(("second", {}))
    assert "install ok installed" in inside("dpkg -s sl | grep Status")
    assert "completed an interrupted installation of packages" in bench.told


class TestScript:
    def test_it_runs_last_with_arguments_and_environment(
        self, bench: Bench, inside: Callable[[str], str]
    ) -> None:
        path = bench.scratch.folder / "app.sh"
        path.write_text(
            '#!/bin/bash\ncat /etc/probe.txt\nprintf \'%s|\' "$@"; echo "$PASSWORD" >/root/said\n'
            "tr '\\0' ' ' </proc/$$/cmdline >/root/arguments; echo progress\nnohup sleep 4716 &\n"
        )
        script = Script(path, ("a b", "$c"), (("PASSWORD", Secret(name="PASSWORD")), ("X", "1")))
        result = bench.run(("probe", {}), script=script)
        assert result.ran == ("probe", "application_script")
        assert inside("cat /root/said") == f"{PASSWORD}\n"
        assert "pass" not in inside("cat /root/arguments")
        assert any(line.startswith("application_script: helloa b|$c|") for line in bench.told)
        assert inside("pgrep -f 'sleep 471[6]'") != ""
        inside("pkill -f 'sleep 471[6]'")

        assert bench.run(("probe", {}), script=script).ran == ()
        assert bench.run(("probe", {}), script=replace(script, args=("b",))).ran == (
            "application_script",
        )
        changed = replace(script, args=("b",), env=(("PASSWORD", Secret(literal="new")),))
        assert bench.run(("probe", {}), script=changed).ran == ("application_script",)
        path.write_text("#!/bin/sh\n")
        assert bench.run(("probe", {}), script=changed).ran == ("application_script",)
        assert bench.run(("probe", {}), script=changed).ran == ()


def test_several_guests_at_once_a_clone_gets_its_own_identity_and_a_stopped_guest_is_told(
    bench: Bench, inside: Callable[[str], str]
) -> None:
    inside("apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y openssh-server")
    bench.run(("probe", {}))
    before = inside("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub | cut -c 1-100")
    clone = bench.scratch.clone(bench.guest, 7202)
    way_in: list[str] = []

    async def make(driver: Any) -> None:
        desired = bench.scratch.desired(bench.guest, clone)
        await driver.stop(bench.guest.address, print)
        await driver.create(clone, desired, print)
        await driver.start(bench.guest, print)
        await driver.start(clone, print)
        way_in.extend(await driver.way_in(clone.address))

    bench.scratch.do(make)
    other = Bench(bench.scratch, clone, way_in)

    async def both() -> tuple[ConfigureResult, ConfigureResult]:
        return await asyncio.gather(
            bench.configure(("probe", {}), ("second", {"command": "sleep 1.5"})),
            other.configure(("probe", {}), ("second", {"command": "sleep 1.5"})),
        )

    begun = time.monotonic()
    first, second = asyncio.run(both())
    assert time.monotonic() - begun < 6
    assert (first.ran, first.renewed) == (("second",), False)
    assert (second.ran, second.renewed) == (("probe", "second"), True)
    with Shell(way_in) as shell:
        ask = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub | cut -c 1-100"
        after = shell.run(ask, timeout_s=S).said().out
        assert set(before.splitlines()) & set(after.splitlines()) == set()
        assert len(after.splitlines()[0]) == 32
        assert shell.run("systemctl is-active ssh", timeout_s=S).out == b"active\n"
        record = json.loads(shell.run("cat /var/lib/phoenix/applied.json", timeout_s=S).out)
        assert record["address"] == "lxc/7202"

        async def stop(driver: Any) -> None:
            await driver.stop(clone.address, print)

        bench.scratch.do(stop)
        with pytest.raises(Unreachable):
            shell.run("echo still there", timeout_s=S)
    with pytest.raises(
        PhoenixError, match="no shell can be opened: Error: Instance is not running"
    ):
        other.run(("second", {}))
