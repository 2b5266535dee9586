"""`phoenix secrets`: no value in an argument, in an output or left on disk."""

import json
import os
import pty
import select
import stat
import subprocess
from pathlib import Path

import pytest
from tests.support.secretcli import PHOENIX, VALUE, Phoenix

from phoenix_hypervisor.config.secrets import keys, recipients
from phoenix_hypervisor.config.secrets.recipients import Recipient


def _changes(phoenix: Phoenix) -> list[str]:
    return [change["address"] for change in phoenix("--json", "plan").json["changes"]]


def test_the_way_from_nothing_to_a_secret(phoenix: Phoenix, folder: Path) -> None:
    first = phoenix("secrets", "set", "REDIS", stdin=VALUE.encode())
    assert (first.status, "phoenix secrets init" in first.err) == (64, True)
    made = phoenix("secrets", "init")
    assert "keep a copy" in made.out
    assert (folder / ".gitignore").read_text() == ".phoenix-secrets.env*\n.phoenix/\n"
    done = phoenix("secrets", "set", "REDIS", stdin=f"{VALUE}\n".encode())
    told = "the next apply configures again: lxc/110 (guest110)"
    assert done.out == f"wrote REDIS into secrets.json.age\n{told}\n"
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


def test_unset(ready: Phoenix) -> None:
    ready("secrets", "set", "A", stdin=VALUE.encode())
    missing = ready("secrets", "unset", "A", "--local")
    assert (missing.status, "leave --local out" in missing.err) == (1, True)
    assert ready("secrets", "unset", "A").status == 0
    assert ready("secrets", "show", "A", "--reveal").status == 1


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


def test_what_lies_beside_the_plain_file_is_ignored_too(ready: Phoenix, folder: Path) -> None:
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / ".gitignore").write_text(".phoenix-secrets.env\n")
    assert "added to .gitignore: .phoenix-secrets.env*" in ready("secrets", "init").out
    name = ".phoenix-secrets.env.4711.new"
    subprocess.run(["git", "-C", folder, "check-ignore", "-q", name], check=True)


def test_a_gitignore_that_is_no_text(ready: Phoenix, folder: Path) -> None:
    (folder / ".gitignore").write_bytes(b"caf\xe9")
    assert ready("secrets", "init").status == 0
    lines = (folder / ".gitignore").read_bytes().splitlines()
    assert lines == [b"caf\xe9", b".phoenix-secrets.env*", b".phoenix/"]


def test_a_gitignore_that_cannot_be_written(ready: Phoenix, folder: Path) -> None:
    (folder / ".gitignore").unlink()
    (folder / ".gitignore").mkdir()
    said = ready("secrets", "init")
    assert (said.status, ".phoenix-secrets.env*" in said.err) == (0, True), said.err


def test_the_list_does_not_say_who_can_read_what_it_cannot_know(ready: Phoenix) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    said = ready("secrets", "list")
    assert "the next change encrypts for" in said.out
    assert "encrypted for:" not in said.out


def test_a_key_that_was_put_into_the_environment_is_never_told(
    ready: Phoenix, tmp_path: Path
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    text = (tmp_path / "home/.config/phoenix/age.key").read_text()
    key = text.splitlines()[-1]
    assert ready("secrets", "show", "REDIS", "--reveal", PHOENIX_AGE_IDENTITY=text).status == 0
    said = ready("secrets", "list", PHOENIX_AGE_IDENTITY=f"x {key}")
    assert said.status == 1
    assert key not in said.out + said.err


def test_two_keys_of_one_person_can_be_told_apart(ready: Phoenix, folder: Path) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    path = folder / "secrets.recipients"
    (mine,) = recipients.read(path)
    path.write_text(f"{path.read_text()}\n# {mine.name}\n{keys.make()[1].public}\n")
    (line,) = [one for one in ready("secrets", "list").out.splitlines() if one.startswith("the ne")]
    told = line.partition(": ")[2]
    first, second = told.split(", ")
    assert first == f"{mine.name} ({mine.key[:12]}…)"
    assert second.startswith(f"{mine.name} (age1")
    assert second != first
    assert f"encrypted for: {told}" in ready("secrets", "rotate", "--keep-key").out


def test_keys_of_ssh_begin_alike_so_their_end_is_shown() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMADEUPKEY"
    assert Recipient(key, "ada", 1, None).label == "ada (ssh-ed25519 …ADEUPKEY)"
    assert Recipient(key, "", 1, None).label == key
