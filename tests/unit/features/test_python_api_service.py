"""Units, environment files and sources of Python services as data."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._asgi_units import (
    Service,
    environment_text,
    service_unit,
    socket_unit,
)
from phoenix_hypervisor.features._python_release import REFUSE_LINKS, commit_of
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.features.python_api_service import (
    PythonApiService,
    PythonApiServiceOptions,
    accept_script,
)
from phoenix_hypervisor.model.desired import FeatureUse, Route
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed

FEATURE = PythonApiService()
SERVICE = Service(
    name="shop", user="shop", app="main:app", listen="8000", root="/opt/shop", proxies=("10.0.0.3",)
)


def test_the_unit_runs_the_release_closed_in() -> None:
    unit = service_unit(SERVICE)
    assert (
        "ExecStart=/opt/shop/current/.venv/bin/python /usr/local/lib/phoenix/serve_asgi.py"
        " main:app --workers=1 --graceful=30 --proxies=127.0.0.1,10.0.0.3\n" in unit
    )
    for line in ("User=shop", "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateDevices=yes"):
        assert f"{line}\n" in unit
    assert "EnvironmentFile=/etc/phoenix/shop/environment\n" in unit
    assert "ListenStream=8000\n" in socket_unit(SERVICE)


@settings(deadline=None)  # each starts a shell
@given(
    st.dictionaries(
        st.from_regex(r"[A-Z]{1,8}", fullmatch=True),
        st.text().filter(lambda t: "\0" not in t and "\r" not in t),
    )
)
def test_a_shell_reads_back_every_value(values: dict[str, str]) -> None:
    # systemd's rules inside double quotes are the shell's (a backslash escapes \ " ` $), so a
    # real shell is the judge here; the test on a real guest asks systemd itself.
    encoded = {n: v for n, v in values.items() if v.encode("utf-8", "ignore").decode() == v}
    script = environment_text(encoded) + "".join(
        f"printf '%s\\0' \"${name}\"\n" for name in sorted(encoded)
    )
    done = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout == b"".join(encoded[name].encode() + b"\0" for name in sorted(encoded))


def test_no_environment_holds_nul() -> None:
    with pytest.raises(ConfigureFailed, match="A holds a NUL"):
        environment_text({"A": "x\0y"})


@pytest.mark.parametrize(
    "options",
    [
        {"name": "a b"},
        {"name": "a\nExecStartPre=/bin/x"},
        {"source": "/etc"},
        {"source": "../x"},
        {"source": "."},
        {"source": "./"},
        {"source": "a/.git/b"},
        {"source": ".phoenix-x"},
        {"git": {"url": "http://x.test/a", "token": {"secret": "T"}}},
        {"git": {"url": "ssh://x.test/a", "token": {"secret": "T"}}},
        {"source": "a", "git": {"url": "https://x.test/a"}},
        {"git": {"url": "ext::sh -c id"}},
        {"git": {"url": "--upload-pack=x"}},
        {"git": {"url": "https://x.test/a", "ref": "--help"}},
        {"git": {"url": "https://x.test/a", "ref": "a;b"}},
        {"app": "main"},
        {"app": "main:app --reload"},
        {"environment": {"A B": "x"}},
        {"environment": {"A": {"address": "db"}}},
        {"health_path": "/x'; import os"},
        {"python": "python3; id"},
        {"host": "example.com"},
        {"port": 70000},
    ],
)
def test_hostile_options_are_refused(options: Any) -> None:
    with pytest.raises(ValidationError):
        PythonApiServiceOptions.model_validate(options)


class TestInputs:
    options = PythonApiServiceOptions.model_validate(
        {"source": "a", "environment": {"DB": {"address_of": "db"}, "B": {"secret": "S"}, "C": "c"}}
    )

    def test_addresses_and_proxies(self) -> None:
        api = guest(2, "api", routes=(Route(None, "/", 8000),))
        web = guest(3, "web", features=(FeatureUse("nginx", NginxOptions()),))
        got = FEATURE.inputs(self.options, api, desired(guest(1, "db"), api, web))
        assert got == {"addresses": {"DB": "10.0.0.1"}, "proxies": ["10.0.0.3"]}

    def test_an_unknown_guest_is_told_with_those_that_are_there(self) -> None:
        with pytest.raises(ConfigError, match="no guest 'db'; guests are: api"):
            FEATURE.inputs(self.options, guest(2, "api"), desired(guest(2, "api")))
        [flaw] = FEATURE.flaws(self.options, guest(2, "api"), desired(guest(2, "api")))
        assert flaw.at == ("environment", "DB")


def test_links_that_leave_a_cloned_tree_are_refused(tmp_path: Path) -> None:
    tree = tmp_path / "it's a tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/fine").symlink_to("../a")
    script = "set -e\n" + REFUSE_LINKS.format(folder=shlex.quote(str(tree)))
    subprocess.run(["sh", "-c", script], check=True)
    (tree / "d/far").symlink_to("/etc/passwd")
    (tree / "up").symlink_to("../elsewhere")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert set(done.stderr.split("of it: ")[1].split()) == {"./d/far", "./up"}


def test_without_a_source_only_python_is_installed() -> None:
    options = PythonApiServiceOptions()
    assert FEATURE.checks(options, guest(1, "a")) == ()
    assert FEATURE.files(options, guest(1, "a"), Path("/nowhere")) == ()


def test_a_missing_source_is_still_named(tmp_path: Path) -> None:
    options = PythonApiServiceOptions(source="api")
    assert list(FEATURE.files(options, guest(1, "a"), tmp_path)) == [tmp_path / "api"]


@pytest.mark.parametrize("rebind", [True, False])
def test_the_script_is_a_shell_script(rebind: bool) -> None:
    options = PythonApiServiceOptions.model_validate({"host": "::1", "health_path": "/h?a=b"})
    script = accept_script(SERVICE, options, rebind=rebind)
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)
    assert "http://[::1]:8000/h?a=b" in script
    assert ("stop shop.service shop.socket" in script) == rebind


@pytest.mark.parametrize(
    ("said", "commit"),
    [
        ("", ""),
        ("fatal: repository not found", ""),
        (f"{'a' * 40}\tHEAD\n", "a" * 40),
        (f"{'a' * 40}\trefs/tags/v1\n{'b' * 40}\trefs/tags/v1^{{}}\n", "b" * 40),
    ],
)
def test_the_commit_of_a_ref(said: str, commit: str) -> None:
    assert commit_of(said) == commit
