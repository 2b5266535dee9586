"""What is said when something fails on a real guest, and what is not said."""

import asyncio
import re

import pytest
from tests.support.configurebench import PASSWORD, TOKEN, ConfigureBench

from phoenix_hypervisor.model.desired import Script
from phoenix_hypervisor.model.errors import (
    ConfigureFailed,
    SecretMissing,
)
from phoenix_hypervisor.model.secret import Secret

pytestmark = pytest.mark.incus


def test_a_failing_operation_tells_the_commands_own_words(bench: ConfigureBench) -> None:
    broken = {"command": "echo on the way; ls /no/such/folder; echo more >&2; exit 5"}
    with pytest.raises(ConfigureFailed) as caught:
        bench.run(("probe", {}), ("second", broken))
    error = caught.value
    assert error.message == "lxc/9501: second: Command failed (exit status 5)"
    assert error.detail.splitlines()[0] == f"$ {broken['command']}"
    assert "ls: cannot access '/no/such/folder'" in error.detail
    assert error.detail.splitlines()[-1] == "more"
    assert bench.inside("ls /run/phoenix") == ""

    result = bench.run(("probe", {}), ("second", {}))  # goes on where it stopped
    assert (result.ran, result.unchanged) == (("second",), ("probe",))


def test_apt_tells_its_own_words(bench: ConfigureBench) -> None:
    with pytest.raises(ConfigureFailed, match=r"odd: apt\.packages failed") as caught:
        bench.run(("odd", {"text": "no such package"}))
    assert "Unable to locate package phoenix-no-such-package" in caught.value.detail


def test_a_feature_that_failed_after_it_was_applied_is_not_applied_any_more(
    bench: ConfigureBench,
) -> None:
    bench.run(("second", {}))
    with pytest.raises(ConfigureFailed):
        bench.run(("second", {"command": "false"}))
    assert bench.run(("second", {})).ran == ("second",)


@pytest.mark.parametrize("how", ["operation", "exception", "script"])
def test_no_secret_leaves(bench: ConfigureBench, how: str) -> None:
    path = bench.folder / "tell.sh"
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
    assert bench.inside("cat /etc/secretive") == PASSWORD
    assert bench.inside("stat -c %a /etc/secretive") == "600\n"
    match how:
        case "operation":
            assert "exit status 7" in error.message
        case "exception":
            assert "ValueError: the password is" in error.message
            assert "bug of the feature secretive" in error.hint
        case "script":
            assert error.message == "lxc/9501: application_script tell.sh failed (exit status 6)"
            assert "first arg: [secret]" in error.detail


def test_a_missing_secret_is_told_before_anything_runs(bench: ConfigureBench) -> None:
    guest = bench.using(("secretive", {"password": {"secret": "NOWHERE"}}))

    async def configure() -> None:
        async with bench.configurator() as configurator:
            await configurator.configure(
                guest, bench.desired(guest), bench.way_in, {"secretive": "x"}, print
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
def test_other_ways_to_fail(bench: ConfigureBench, text: str, message: str, detail: str) -> None:
    with pytest.raises(ConfigureFailed, match=re.escape(message)) as caught:
        bench.run(("odd", {"text": text}))
    assert detail in caught.value.detail


def test_a_feature_that_can_not_be_imported(
    bench: ConfigureBench, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigureFailed, match="ImportError: no module named gone"):
        bench.run(("unimportable", {}))
    assert capfd.readouterr() == ("", "")
