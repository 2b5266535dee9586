"""`phoenix secrets`: no value in an argument, in an output or left on disk."""

import io
import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.cli.main import run

PHOENIX = Path(sys.executable).with_name("phoenix")
VALUE = "hunter2-hunter2"
NETWORK = {"name": "eth0", "bridge": "br0", "ip": "10.9.8.7/24", "gw": "10.9.8.1"}


def _guest(ident: str, **words: Any) -> dict[str, Any]:
    return {
        "name": f"guest{ident}",
        "template": "debian-13-standard",
        "memory_mb": 256,
        "cores": 1,
        "storage_pool": "pool",
        "storage_size_gb": 2,
        "network_config": NETWORK | {"ip": f"10.9.8.{ident}/24"},
        **words,
    }


class Said:
    """How a command ended, and what it said."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Phoenix = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    hypervisor = {
        "stack": "cli",
        "driver": "sim",
        "pools": {"pool": {"size_gb": 5}},
        "token_id": "ada@pve!lab",
        "token_secret": {"secret": "PVE_TOKEN"},
    }
    (path / "phoenix_hypervisor_config.json").write_text(
        json.dumps({"hypervisor": hypervisor}, indent=1)
    )
    redis = {"redis": {"password": {"secret": "REDIS"}}, "features": ["base_setup", "redis"]}
    guests = {
        "110": _guest("110", **redis),
        "111": _guest("111", features=["base_setup"]),
    }
    (path / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": guests}, indent=1))
    return path


@pytest.fixture
def phoenix(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Phoenix:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PHOENIX_DIR", str(folder))
    monkeypatch.setenv("PHOENIX_SIM_STATE", str(tmp_path / "sim.json"))
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("XDG_CONFIG_HOME", "PHOENIX_AGE_IDENTITY", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str, stdin: bytes = b"", **environ: str) -> Said:
        with monkeypatch.context() as context:
            for name, value in environ.items():
                context.setenv(name, value)
            context.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            status = run(words)
        said = capsys.readouterr()
        assert VALUE not in said.err
        return Said(status, said.out, said.err)

    return call


@pytest.fixture
def ready(phoenix: Phoenix) -> Phoenix:
    assert phoenix("secrets", "init").status == 0
    return phoenix


def _changes(phoenix: Phoenix) -> list[str]:
    return [change["address"] for change in phoenix("--json", "plan").json["changes"]]


def test_the_way_from_nothing_to_a_secret(phoenix: Phoenix, folder: Path) -> None:
    first = phoenix("secrets", "set", "REDIS", stdin=VALUE.encode())
    assert (first.status, "phoenix secrets init" in first.err) == (64, True)
    made = phoenix("secrets", "init")
    assert "keep a copy" in made.out
    assert (folder / ".gitignore").read_text() == ".phoenix-secrets.env\n.phoenix/\n"
    done = phoenix("secrets", "set", "REDIS", stdin=f"{VALUE}\n".encode())
    assert done.out == "wrote REDIS\nthe next apply configures again: lxc/110 (guest110)\n"
    assert phoenix("secrets", "show", "REDIS", "--reveal").out == f"{VALUE}\n"
    again = phoenix("--json", "secrets", "init").json
    assert (again["made"], again["added"], again["readable"]) == (False, False, True)
    assert (folder / ".gitignore").read_text().count(".phoenix/") == 1


def test_a_value_is_never_an_argument(ready: Phoenix) -> None:
    said = ready("secrets", "set", "REDIS", VALUE)
    assert said.status == 64
    assert "never an argument" in said.err
    assert VALUE not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["A B"], b"x" * 9, "can't be a secret's name"),
        (["1A"], b"x" * 9, "can't be a secret's name"),
        (["A"], b"", "empty"),
        (["A"], b"\n", "empty"),
        (["A"], b"a\0b", "without NUL"),
        (["A"], b"\xff\xfe", "not text in UTF-8"),
        (["A", "--file", "/no/such"], b"", "No such file"),
    ],
)
def test_what_is_refused(ready: Phoenix, words: list[str], stdin: bytes, told: str) -> None:
    said = ready("secrets", "set", *words, stdin=stdin)
    assert (said.status, told in said.err) == (64, True), said.err


def test_a_file_is_taken_as_it_is(ready: Phoenix, tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    (tmp_path / "key.pem").write_text(key)
    assert ready("secrets", "set", "KEY", "--file", str(tmp_path / "key.pem")).status == 0
    assert ready("--json", "secrets", "show", "KEY", "--reveal").json["value"] == key


def test_a_secret_is_shown_on_a_terminal_only(ready: Phoenix) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    said = ready("secrets", "show", "REDIS")
    assert (said.status, said.out) == (64, "")
    assert ready("secrets", "show", "NONE", "--reveal").status == 1


def test_the_list_tells_where_values_come_from_and_who_uses_them(
    ready: Phoenix, folder: Path
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    ready("secrets", "set", "REDIS", "--local", stdin=VALUE.encode())
    ready("secrets", "set", "UNUSED", stdin=VALUE.encode())
    said = ready("--json", "secrets", "list")
    listed = {one["name"]: one for one in said.json["secrets"]}
    assert {name: one["sources"] for name, one in listed.items()} == {
        "PVE_TOKEN": [],
        "REDIS": ["env_file", "age_file"],
        "UNUSED": ["age_file"],
    }
    (use,) = listed["REDIS"]["used"]
    line = (folder / use["file"]).read_text().splitlines()[use["line"] - 1]
    assert use["pointer"] == "/lxc_configs/110/redis/password"
    assert '"password"' in line
    assert listed["REDIS"]["guests"] == ["lxc/110 (guest110)"]
    shown = ready("secrets", "list", PVE_TOKEN="x" * 9).out
    assert "environment" in shown
    assert f"{use['file']}:{use['line']}" in shown
    assert VALUE not in shown + said.out


def test_the_list_tells_of_files_that_cannot_be_read(ready: Phoenix, folder: Path) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    sealed = folder / "secrets.json.age"
    sealed.write_text("<<<<<<< HEAD\n" + sealed.read_text())
    said = ready("secrets", "list")
    assert said.status == 1
    assert "line 1: Git could not merge" in said.err
    assert "not known" in said.out
    assert ready("--json", "secrets", "list").json["problems"][0]["hint"]
    validated = ready("validate")
    assert "Git could not merge" in validated.err
    assert validated.err.count("Git could not merge") == 1


def test_git_that_would_take_plain_secrets_is_told(ready: Phoenix, folder: Path) -> None:
    (folder / ".gitignore").unlink()
    subprocess.run(["git", "init", "-q", folder], check=True)
    assert "not ignored" in ready("secrets", "set", "A", "--local", stdin=VALUE.encode()).err
    subprocess.run(["git", "-C", folder, "add", ".phoenix-secrets.env"], check=True)
    assert "is committed" in ready("secrets", "list").err
    subprocess.run(
        ["git", "-C", folder, "rm", "-q", "--cached", ".phoenix-secrets.env"], check=True
    )
    assert "added to .gitignore" in ready("secrets", "init").out
    assert "Git" not in ready("secrets", "list").err


def test_a_changed_secret_configures_exactly_its_guests(ready: Phoenix) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    assert ready("apply", "--yes").status == 0
    assert _changes(ready) == []
    ready("secrets", "set", "UNUSED", stdin=b"something")
    ready("secrets", "rotate")
    assert _changes(ready) == []  # a new key is not a new value
    assert ready("secrets", "rotate", "REDIS").out.endswith("lxc/110 (guest110)\n")
    plan = ready("--json", "plan").json
    assert [(c["address"], c["action"]) for c in plan["changes"]] == [("lxc/110", "configure")]
    value = ready("secrets", "show", "REDIS", "--reveal").out.strip()
    assert (len(value), value.isalnum(), value != VALUE) == (40, True, True)
    assert value not in json.dumps(plan)


def test_what_has_no_random_value(ready: Phoenix) -> None:
    ready("secrets", "set", "PVE_TOKEN", stdin=VALUE.encode())
    said = ready("secrets", "rotate", "PVE_TOKEN")
    assert (said.status, "made elsewhere" in said.err) == (64, True)
    assert ready("secrets", "show", "PVE_TOKEN", "--reveal").out.strip() == VALUE
    assert ready("secrets", "rotate", "NONE").status == 1
    from_outside = ready("secrets", "rotate", "REDIS", REDIS="x" * 12)
    assert (from_outside.status, "environment" in from_outside.err) == (64, True)


def test_unset(ready: Phoenix) -> None:
    ready("secrets", "set", "A", stdin=VALUE.encode())
    missing = ready("secrets", "unset", "A", "--local")
    assert (missing.status, "leave --local out" in missing.err) == (1, True)
    assert ready("secrets", "unset", "A").status == 0
    assert ready("secrets", "show", "A", "--reveal").status == 1


def _editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "editor.py"
    path.write_text(f"#!{sys.executable}\nimport os, sys\npath = sys.argv[1]\n{script}\n")
    path.chmod(0o755)
    return str(path)


LOOK = f"""
import stat
with open({{place!r}}, "w") as out:
    folder = os.path.dirname(path)
    out.write(f"{{{{path}}}} {{{{stat.S_IMODE(os.stat(path).st_mode):o}}}} "
              f"{{{{stat.S_IMODE(os.stat(folder).st_mode):o}}}}")
open(path + "~", "w").write("backup {VALUE}")
text = open(path).read()
"""


def test_edit_leaves_nothing_behind(ready: Phoenix, tmp_path: Path) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    place = tmp_path / "place"
    look = LOOK.format(place=str(place))
    change = (
        'text = text.replace("hunter2-h", "tiger33-h").replace("}", \', "NEW": "é\\\\n"}\')\n'
        'open(path, "w").write(text)'
    )
    said = ready("secrets", "edit", EDITOR=_editor(tmp_path, look + change))
    assert said.out.startswith("wrote NEW, REDIS\n"), said.out + said.err
    assert ready("secrets", "show", "REDIS", "--reveal").out == "tiger33-hunter2\n"
    path, mode, folder_mode = place.read_text().split()
    assert (mode, folder_mode) == ("600", "700")
    assert not Path(path).parent.exists()
    assert "nothing was changed" in ready("secrets", "edit", EDITOR="true").out


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sys.exit(3)", "ended with 3"),
        ('open(path, "w").write(text.replace(":", ";"))', ":2:"),
        ('open(path, "w").write(text.replace("REDIS", "1 B"))', "a name is of letters"),
        ('open(path, "wb").write(b"\\xff")', "can't be read as text"),
        ("os.unlink(path)", "can't be read as text"),
    ],
)
def test_an_edit_that_goes_wrong_changes_nothing(
    ready: Phoenix, tmp_path: Path, folder: Path, script: str, told: str
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    before, place = (folder / "secrets.json.age").read_bytes(), tmp_path / "place"
    look = LOOK.format(place=str(place))
    said = ready("secrets", "edit", EDITOR=_editor(tmp_path, look + script))
    assert (said.status, told in said.err) == (1, True), said.err
    assert (folder / "secrets.json.age").read_bytes() == before
    assert not Path(place.read_text().split()[0]).parent.exists()


def test_an_editor_that_is_none(ready: Phoenix) -> None:
    assert ready("secrets", "edit", EDITOR="/no/such/editor").status == 64


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_edit_that_is_ended(
    ready: Phoenix, tmp_path: Path, folder: Path, end: signal.Signals
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    place = tmp_path / "place"
    wait = "import time\nwhile os.path.exists(path): time.sleep(0.05)"
    editor = _editor(tmp_path, LOOK.format(place=str(place)) + wait)
    command = subprocess.Popen([PHOENIX, "secrets", "edit"], env=os.environ | {"EDITOR": editor})
    try:
        deadline = time.monotonic() + 20
        while not (place.exists() and place.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        command.send_signal(end)
        status = command.wait(20)
    finally:
        command.kill()
    left = Path(place.read_text().split()[0]).parent
    if end == signal.SIGKILL:
        assert left.exists()
        assert ready("secrets", "edit", EDITOR="true").status == 0  # the next one clears it away
    else:
        assert status == 130
    assert not left.exists()


def test_typed_in_and_not_shown(ready: Phoenix) -> None:
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [PHOENIX, "secrets", "set", "TYPED"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said, answers = b"", [f"{VALUE}\n".encode()] * 2
    try:
        while select.select([ours], [], [], 20)[0] and (data := os.read(ours, 1000)):
            said += data
            if answers and said.endswith(b": "):
                os.write(ours, answers.pop())
    except OSError:
        said += b"|"  # the terminal's other end is closed
    if answers:
        command.kill()
    assert command.wait(20) == 0, said
    os.close(ours)
    assert VALUE not in said.decode()
    assert ready("secrets", "show", "TYPED", "--reveal").out == f"{VALUE}\n"


def test_a_login_from_the_encrypted_file(ready: Phoenix, folder: Path) -> None:
    ready("secrets", "set", "PVE_TOKEN", stdin=VALUE.encode())
    assert "PVE_TOKEN" not in ready("validate").err
    assert stat.S_IMODE((folder / "secrets.json.age").stat().st_mode) & 0o022 == 0
