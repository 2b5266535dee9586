"""The unit of the service: what it starts, and that systemd understands it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from phoenix_hypervisor.app.watching import service as units
from phoenix_hypervisor.app.watching.service import Service
from phoenix_hypervisor.model.errors import NotFound, PhoenixError, Unsupported

FOLDER = Path('/srv/my "stack" at 100% $HOME')


def service(argv: list[str], environ: dict[str, str] | None = None) -> Service:
    return Service("home lab/1", FOLDER, argv, environ or {}, root=True)


def test_it_starts_exactly_this_command_in_this_folder() -> None:
    made = service(["/opt/phoenix", "--dir", str(FOLDER), "watch"])
    assert made.name == "phoenix-watch-home-lab-1.service"
    assert made.path == Path("/etc/systemd/system/phoenix-watch-home-lab-1.service")
    lines = made.unit().splitlines()
    assert lines[0] == f"# Made by `phoenix watch --install` in {FOLDER}"
    command = r'"/opt/phoenix" "--dir" "/srv/my \"stack\" at 100%% $$HOME" "watch"'
    assert f"ExecStart={command}" in lines
    assert 'WorkingDirectory=/srv/my "stack" at 100%% $HOME' in lines
    assert "EnvironmentFile=-/etc/phoenix/phoenix-watch-home-lab-1.env" in lines


def test_of_the_environment_it_gets_where_the_target_is_and_nothing_else() -> None:
    unit = service(["p"], {"INCUS_SOCKET": "/run/a b", "DB_PASSWORD": "hunter2"}).unit()
    assert 'Environment="INCUS_SOCKET=/run/a b"\n' in unit
    assert "hunter2" not in unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    made = service(["/bin/true", "--dir", str(FOLDER), "watch"])
    path = tmp_path / made.name
    path.write_text(made.unit())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_folder_can_be_written_wherever_it_lies() -> None:
    lines = service(["p"]).unit().splitlines()
    assert r'ReadWritePaths="/srv/my \"stack\" at 100%% $HOME" -/etc/pve' in lines
    assert not [line for line in lines if line.startswith(("PrivateTmp", "ProtectClock"))]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemctl is asked for, line by line."""
    said, bin_ = tmp_path / "said", tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{said}\n')
    (bin_ / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_), prepend=":")
    monkeypatch.setattr(units, "_runs", lambda: True)
    return said


def test_it_is_taken_away_whatever_its_stack_is_called_now(tmp_path: Path, asked: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    old, new = (Service(name, FOLDER, ["p"], environ, root=False) for name in ("old", "new"))
    other = Service("other", Path("/srv/other"), ["p"], environ, root=False)
    other.install()
    old.install()
    new.install()
    assert not old.path.exists()
    asked.unlink()
    assert units.uninstall(FOLDER, environ, root=False) == [new.name]
    assert asked.read_text().splitlines() == [
        f"--user disable --quiet --now {new.name}",
        "--user daemon-reload",
    ]
    assert other.path.exists()
    with pytest.raises(NotFound, match="no service watches"):
        units.uninstall(FOLDER, environ, root=False)


def test_the_name_of_another_folder_s_service_is_not_taken(tmp_path: Path, asked: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    Service("home", FOLDER, ["p"], environ, root=False).install()
    with pytest.raises(PhoenixError, match="watches /srv/my"):
        Service("home", Path("/srv/other"), ["p"], environ, root=False).install()


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs this machine")
def test_without_systemd_it_says_what_to_start() -> None:
    with pytest.raises(Unsupported, match="systemd does not run this machine") as refused:
        service(["/opt/phoenix", "watch"]).install()
    assert refused.value.hint.endswith("/opt/phoenix watch")
