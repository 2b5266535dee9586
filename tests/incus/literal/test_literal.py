"""Strange but legal values, through the real command line, into a real container, and read back
byte for byte.
"""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import Stack, write
from tests.incus.literal.values import (
    CONTENT,
    FILES,
    HEADERS,
    NAME,
    ROLES,
    ROUTE,
    SETTINGS,
    STRANGE,
    path,
)
from tests.support import lab

from phoenix_hypervisor.config.secrets import Secrets

pytestmark = [pytest.mark.incus, pytest.mark.usefixtures("incus_daemon")]

API = Path(__file__).parents[1] / "features/folder/api"
RECORD = """#!/bin/sh
set -eu
printf '%s\\0' "$@" >/root/arguments
env -0 >/root/environment
"""


def words(folder: Path) -> dict[str, Any]:
    """One container with everything in it that takes values."""
    secret = Secrets(folder, {})
    for name, value in STRANGE.items():
        if value:
            secret.add(f"S_{name}", value)
    for number, password in enumerate(ROLES.values()):
        secret.add(f"R{number}", password)
    named = {f"N_{name}": {"secret": f"S_{name}"} for name, value in STRANGE.items() if value}
    return {
        "name": NAME,
        "template": "debian-13-standard",
        "memory_mb": 1024,
        "cores": 2,
        "description": STRANGE["SUBSTITUTION"],
        "features": ["postgresql", "python_api_service", "nginx"],
        "postgresql": {
            "roles": [
                {"name": role, "password": {"secret": f"R{number}"}}
                for number, role in enumerate(ROLES)
            ],
            "databases": [{"name": "table", "owner": "select"}, {"name": "d-" + "x" * 61}],
            "settings": SETTINGS,
            "dumps": {"enabled": False},
        },
        "python_api_service": {
            "source": "api",
            "health_path": "/api/health",
            "environment": STRANGE | named,
        },
        "nginx": {
            "sites": [
                {"name": "odd", "host": ["odd.test"], "headers": HEADERS},
                {"name": "plain", "host": ["plain.test"]},
            ]
        },
        "routes": [{"path": ROUTE, "port": 8000}],
        "application_script": "record.sh",
        "application_script_args": [*STRANGE.values(), "--", "-n"],
        "application_script_env": STRANGE | named,
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("l")
    made = write(tmp_path_factory.mktemp("literal") / "folder", corner, {"101": {}})
    with made.edit() as files:
        files["lxc_configs"]["101"] |= words(made.folder)
    shutil.copytree(API, made.folder / "api", ignore=shutil.ignore_patterns("__pycache__"))
    for site in ("odd", "plain"):
        (made.folder / "sites" / site).mkdir(parents=True)
        (made.folder / "sites" / site / "index.html").write_text(f"<title>{site}</title>\n")
    for name in FILES:
        (made.folder / "sites/odd" / name).write_bytes(CONTENT + name.encode())
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts/record.sh").write_text(RECORD)
    try:
        made.ok("apply", "--yes")
        yield made
    finally:
        lab.clear(corner.name)


def inside(stack: Stack, *argv: str, environ: dict[str, str] | None = None) -> bytes:
    """What a program in the container prints, as bytes, by Incus's own way in."""
    given = [f"--env={name}={value}" for name, value in (environ or {}).items()]
    done = subprocess.run(
        ["incus", "exec", f"--project={stack.project}", *given, "lxc-101", "-T", "--", *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def variables(data: bytes) -> dict[str, str]:
    """`A=b` parts with NUL between them."""
    parts = (part.decode().partition("=") for part in data.split(b"\0") if part)
    return {name: value for name, _, value in parts}


def wanted() -> dict[str, str]:
    return STRANGE | {f"N_{name}": value for name, value in STRANGE.items() if value}


def test_a_second_apply_has_nothing_to_do(stack: Stack) -> None:
    assert stack.changes() == []


def test_the_scripts_arguments(stack: Stack) -> None:
    found = inside(stack, "cat", "/root/arguments").decode().split("\0")
    assert found == [*STRANGE.values(), "--", "-n", ""]


def test_the_scripts_environment(stack: Stack) -> None:
    found = variables(inside(stack, "cat", "/root/environment"))
    assert {name: found.get(name) for name in wanted()} == wanted()


def test_the_services_environment(stack: Stack) -> None:
    pid = inside(stack, "systemctl", "show", "-p", "MainPID", "--value", "api").decode().strip()
    found = variables(inside(stack, "cat", f"/proc/{pid}/environ"))
    assert {name: found.get(name) for name in wanted()} == wanted()


def test_the_name(stack: Stack) -> None:
    assert inside(stack, "uname", "-n").decode() == f"{NAME}\n"


def test_roles_and_passwords(stack: Stack) -> None:
    for role, password in ROLES.items():
        said = inside(
            stack,
            "psql",
            "-h127.0.0.1",
            f"-U{role}",
            "-dpostgres",
            "-Atc",
            "select current_user",
            environ={"PGPASSWORD": password},
        )
        assert said.decode() == f"{role}\n"
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'table'"
    assert inside(stack, "su", "postgres", "-c", f'psql -Atc "{owner}"') == b"select\n"


def test_settings_of_the_database(stack: Stack) -> None:
    for name, value in SETTINGS.items():
        said = inside(stack, "su", "postgres", "-c", f'psql -Atc "show {name}"')
        assert said.decode() == f"{value}\n"


def test_files_and_headers_of_a_site(stack: Stack) -> None:
    address = stack.json("status")["guests"][0]["addresses"][0]
    for name in FILES:
        request = urllib.request.Request(
            f"http://{address}/{path(name)}", headers={"Host": "odd.test"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.read() == CONTENT + name.encode()
            sent = {k: reply.headers[k].encode("latin-1").decode() for k in HEADERS}
        assert sent == HEADERS


def test_the_path_of_a_route(stack: Stack) -> None:
    address = stack.json("status")["guests"][0]["addresses"][0]
    request = urllib.request.Request(f"http://{address}{ROUTE}", headers={"Host": "plain.test"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    # The application has no such path, and says so itself: Nginx would answer with a page.
    assert json.loads(refused.value.read()) == {"detail": "Not Found"}


def test_nothing_of_it_was_run(stack: Stack) -> None:
    found = inside(stack, "find", "/", "-xdev", "-name", "injected", "-not", "-path", "/proc/*")
    assert found == b""
