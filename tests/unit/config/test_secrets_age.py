"""Secrets that are encrypted in Git: who can read them, what is told when nobody can."""

import os
import stat
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.config.secrets import Secrets, age_file, files, keys, recipients
from phoenix_hypervisor.config.secrets.store import Store
from phoenix_hypervisor.model.errors import (
    PhoenixError,
    SecretMissing,
    SecretsUnreadable,
    UsageError,
)

Person = dict[str, str]


def _person(folder: Path) -> Person:
    """Somebody's environment: a home of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(folder)}


@pytest.fixture
def ada(tmp_path: Path) -> Person:
    return _person(tmp_path / "ada")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _set(folder: Path, person: Mapping[str, str], **values: str) -> None:
    Store(folder, person).change(lambda there: there.update(values))


def _unreadable(folder: Path, person: Mapping[str, str], name: str = "A") -> SecretsUnreadable:
    with pytest.raises(SecretsUnreadable) as caught:
        Secrets(folder, person).lookup(name)
    assert caught.value.hint
    return caught.value


def test_a_key_is_made_once_and_for_its_owner_only(folder: Path, ada: Person) -> None:
    done = Store(folder, ada).start("ada@laptop")
    path = Path(ada["HOME"]) / ".config/phoenix/age.key"
    assert (done.made, done.added, done.readable, done.path) == (True, True, True, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (folder / "secrets.recipients").read_text() == f"# ada@laptop\n{done.public}\n"
    again = Store(folder, ada).start("ada@laptop")
    assert (again.made, again.added, again.public) == (False, False, done.public)
    assert _names(folder) == ["secrets.recipients"]


def test_values_come_from_three_places_in_their_order(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="age", B="age", C="age")
    Secrets(folder, {}).add("A", "file")
    Secrets(folder, {}).add("B", "file")
    secrets = Secrets(folder, ada | {"A": "environment"})
    assert [secrets.lookup(name) for name in "ABC"] == ["environment", "file", "age"]
    assert secrets.sources("A") == ["environment", "env_file", "age_file"]
    assert secrets.sources("D") == []
    assert not secrets.has("D")
    with pytest.raises(SecretMissing, match="D has no value") as caught:
        secrets.lookup("D")
    assert "phoenix secrets set D" in caught.value.hint


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_comes_back_as_it_was(folder: Path, ada: Person, value: str) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, ANY=value)
    assert Secrets(folder, ada).lookup("ANY") == value


def test_no_value_is_in_the_file(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, DB="correct horse battery staple")
    text = (folder / age_file.FILE).read_text()
    assert text.startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert "horse" not in text


def test_a_second_person_comes_in_without_the_firsts_key(folder: Path, tmp_path: Path) -> None:
    ada, ben = _person(tmp_path / "ada"), _person(tmp_path / "ben")
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    assert not Store(folder, ben).start("ben").readable
    told = _unreadable(folder, ben)
    assert "No matching keys" in told.message
    assert "rotate --keep-key" in told.hint
    with pytest.raises(SecretsUnreadable):
        _set(folder, ben, B="x")  # nobody's secrets are lost by somebody who can't read them
    assert age_file.readers(folder / age_file.FILE) == 1
    Store(folder, ada).renew_recipients()
    assert age_file.readers(folder / age_file.FILE) == 2
    assert Secrets(folder, ben).lookup("A") == "value"
    _set(folder, ben, B="of ben")
    assert Secrets(folder, ada).lookup("B") == "of ben"


def test_who_is_taken_out_reads_no_more(folder: Path, tmp_path: Path) -> None:
    ada, ben = _person(tmp_path / "ada"), _person(tmp_path / "ben")
    Store(folder, ada).start("ada")
    Store(folder, ben).start("ben")
    _set(folder, ada, A="value")
    assert Secrets(folder, ben).lookup("A") == "value"
    path = folder / recipients.FILE
    path.write_text(path.read_text().partition("# ben")[0])
    Store(folder, ada).renew_recipients()
    _unreadable(folder, ben)
    path.write_text(f"{keys.find(ben)[0].public}\n")
    with pytest.raises(SecretsUnreadable, match="you could not read"):
        Store(folder, ada).renew_recipients()
    assert Secrets(folder, ada).lookup("A") == "value"


def test_a_new_key_takes_the_place_of_the_old_one(folder: Path, ada: Person) -> None:
    old = Store(folder, ada).start("ada").public
    _set(folder, ada, A="value")
    other = folder.with_name("other")
    other.mkdir()
    Store(other, ada).start("ada")
    _set(other, ada, A="elsewhere")
    new, path = Store(folder, ada).renew_key()
    assert new != old
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.key for one in Store(folder, ada).recipients()] == [new]
    first, second = keys.find(ada)
    assert (first.public, second.public) == (new, old)
    values = age_file.read(folder / age_file.FILE, [first])
    assert values == {"A": "value"}
    with pytest.raises(SecretsUnreadable):
        age_file.read(folder / age_file.FILE, [second])
    assert Secrets(other, ada).lookup("A") == "elsewhere"  # the old key still opens what it did


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_ssh(folder: Path, ada: Person, kind: str) -> None:
    path = Path(ada["HOME"]) / ".ssh" / f"id_{kind}"
    path.parent.mkdir()
    size = ["-b", "2048"] if kind == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "ada@laptop", "-f", str(path)]
    subprocess.run(command, check=True)
    (folder / recipients.FILE).write_text(path.with_suffix(".pub").read_text())
    (one,) = Store(folder, ada).recipients()
    assert (one.name, one.key.split()[0]) == ("ada@laptop", f"ssh-{kind}")
    _set(folder, ada, A="value")
    assert Secrets(folder, ada).lookup("A") == "value"
    assert age_file.readers(folder / age_file.FILE) == 1
    named = {"PHOENIX_AGE_IDENTITY": str(path)}
    assert Secrets(folder, named).lookup("A") == "value"
    with pytest.raises(UsageError, match="SSH"):
        Store(folder, named).start("ada")
    with pytest.raises(UsageError, match="can't be replaced"):
        Store(folder, ada).renew_key()


def test_a_key_of_ssh_with_a_passphrase_is_told_where_it_was_named(
    folder: Path, ada: Person
) -> None:
    path = Path(ada["HOME"]) / ".ssh" / "id_ed25519"
    path.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "words", "-f", path], check=True)
    assert keys.find(ada) == []  # it may be for something else
    with pytest.raises(SecretsUnreadable, match="can't be used") as caught:
        keys.find({"PHOENIX_AGE_IDENTITY": str(path)})
    assert "without a passphrase" in caught.value.hint


def test_the_identity_in_the_environment(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    path = Path(ada["HOME"]) / ".config/phoenix/age.key"
    secret = path.read_text().splitlines()[-1]
    assert Secrets(folder, {"PHOENIX_AGE_IDENTITY": secret}).lookup("A") == "value"
    assert Secrets(folder, {"PHOENIX_AGE_IDENTITY": str(path)}).lookup("A") == "value"
    from_home = ada | {"PHOENIX_AGE_IDENTITY": "~/.config/phoenix/age.key"}
    assert Secrets(folder, from_home).lookup("A") == "value"
    moved = Path(ada["HOME"]) / "xdg/phoenix/age.key"
    moved.parent.mkdir(parents=True)
    path.rename(moved)
    assert Secrets(folder, {"XDG_CONFIG_HOME": str(moved.parents[1])}).lookup("A") == "value"
    for bad in ("/no/such/file", "AGE-SECRET-KEY-1NONSENSE"):
        told = _unreadable(folder, {"PHOENIX_AGE_IDENTITY": bad})
        assert "PHOENIX_AGE_IDENTITY" in told.message
        assert "NONSENSE" not in f"{told.message}{told.hint}"


def test_a_whole_file_of_keys_in_the_environment(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    text = (Path(ada["HOME"]) / ".config/phoenix/age.key").read_text()
    assert text.startswith("# created:")
    key = text.splitlines()[-1]
    for written in (text, text.replace("\n", "\r\n")):
        told = {"PHOENIX_AGE_IDENTITY": written, "PHOENIX_AGE_PASSPHRASE": "open"}
        secrets = Secrets(folder, told)
        assert secrets.lookup("A") == "value"
        assert secrets.redactor(f"it is {key}; open") == "it is [secret]; [secret]"


@pytest.mark.parametrize("bad", ["key: {}", "'{}'", "one\ntwo", "{}\nnonsense {}", "# only\n x"])
def test_no_part_of_a_bad_identity_is_told(folder: Path, ada: Person, bad: str) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    key = (Path(ada["HOME"]) / ".config/phoenix/age.key").read_text().splitlines()[-1]
    value = bad.format(key, key)
    told = _unreadable(folder, {"PHOENIX_AGE_IDENTITY": value})
    assert not set(value.replace("'", "").split()) & set(f"{told.message} {told.hint}".split())
    assert key not in f"{told.message}{told.hint}"


def test_who_could_not_write_is_told_before_an_edit(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    (folder / recipients.FILE).write_text("age1nonsense\n")
    with pytest.raises(SecretsUnreadable, match="line 1"), Store(folder, ada).open_text():
        pytest.fail("the editor would have started")


def test_a_key_file_with_a_passphrase(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    path = Path(ada["HOME"]) / ".config/phoenix/age.key"
    path.write_bytes(pyrage.passphrase.encrypt(path.read_bytes(), "open sesame"))
    assert Secrets(folder, ada | {"PHOENIX_AGE_PASSPHRASE": "open sesame"}).lookup("A") == "value"
    assert "passphrase" in _unreadable(folder, ada | {"PHOENIX_AGE_PASSPHRASE": "no"}).hint
    with pytest.raises(UsageError, match="encrypted with a passphrase"):
        Store(folder, ada | {"PHOENIX_AGE_PASSPHRASE": "open sesame"}).renew_key()


def test_a_passphrase_is_not_asked_for_without_a_terminal(
    folder: Path, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")
    path = Path(ada["HOME"]) / ".config/phoenix/age.key"
    path.write_bytes(pyrage.passphrase.encrypt(path.read_bytes(), "open sesame"))
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert "PHOENIX_AGE_PASSPHRASE" in _unreadable(folder, ada).hint


def test_what_is_told_of_bad_files(folder: Path, ada: Person, tmp_path: Path) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value-of-a")
    path = folder / age_file.FILE
    good = path.read_bytes()
    key = Path(ada["HOME"]) / ".config/phoenix/age.key"

    key.chmod(0o640)
    assert _unreadable(folder, ada).hint == f"chmod 600 {key}"
    key.chmod(0o600)

    lines = good.splitlines(keepends=True)
    conflict = b"".join([*lines[:2], b"<<<<<<< HEAD\n", *lines[2:], b"=======\n", b">>>>>>> x\n"])
    path.write_bytes(conflict)
    told = _unreadable(folder, ada)
    assert "line 3: Git could not merge" in told.message
    assert "git checkout --ours" in told.hint

    for damaged in (b"", b"{}", good[: len(good) // 2], good.replace(b"\n", b"\nAAAA", 3)):
        path.write_bytes(damaged)
        assert str(path) in _unreadable(folder, ada).message
    swapped = bytearray(good)
    swapped[120:124] = b"AAAA"
    path.write_bytes(swapped)
    assert "can't be opened" in _unreadable(folder, ada).message

    path.write_bytes(good)
    nobody = _person(tmp_path / "nobody")
    assert "there is no key" in _unreadable(folder, nobody).message
    assert "secrets init" in _unreadable(folder, nobody).hint

    (me,) = Store(folder, ada).recipients()
    inside = pyrage.encrypt(b'{"A": "value-of-a",\n "B": 5}', [me.public])
    path.write_bytes(inside)  # the binary form
    told = _unreadable(folder, ada)
    assert "line 2, column 2: the value of B must be a text" in told.message
    assert "value-of-a" not in told.message
    path.write_bytes(pyrage.encrypt(b'{"A": "value-of-a"', [me.public]))
    assert "value-of-a" not in _unreadable(folder, ada).message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("age1nonsense\n", 1),
        ("# x\n\nssh-dss AAAA x\n", 3),
        ("<<<<<<< HEAD\n", 1),
        ("AGE-SECRET-KEY-1QQQ\n", 1),
    ],
)
def test_bad_recipients_are_told_with_their_line(
    folder: Path, ada: Person, text: str, line: int
) -> None:
    (folder / recipients.FILE).write_text(text)
    with pytest.raises(SecretsUnreadable, match=f"line {line}") as caught:
        _set(folder, ada, A="x")
    assert "SECRET-KEY" not in caught.value.message


def test_keys_that_are_none(ada: Person) -> None:
    path = Path(ada["HOME"]) / ".config/phoenix/age.key"
    for text, told in [
        ("# nothing\n", "holds no key"),
        ("hello\n", "line 1, is not a key of age"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ\n", "line 1, is not a key of age"),
    ]:
        keys.write(path, text)
        with pytest.raises(SecretsUnreadable, match=told):
            keys.find(ada)


def test_without_a_list_of_readers_nothing_is_written(folder: Path, ada: Person) -> None:
    with pytest.raises(UsageError, match="no encrypted secrets yet") as caught:
        _set(folder, ada, A="x")
    assert "phoenix secrets init" in caught.value.hint
    assert _names(folder) == []


def test_writers_at_the_same_time_lose_nothing(folder: Path, ada: Person) -> None:
    Store(folder, ada).start("ada")
    threads = [
        threading.Thread(target=_set, args=(folder, ada), kwargs={f"S{n}": str(n)})
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Secrets(folder, ada).sealed() == {f"S{n}": str(n) for n in range(12)}
    assert _names(folder) == [age_file.FILE, recipients.FILE]


def test_a_second_writer_does_not_wait_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOCK_S", 0.2)
    with files.alone(folder), pytest.raises(PhoenixError, match="somebody else") as caught:
        Secrets(folder, {}).add("A", "x")
    assert "edit" in caught.value.hint


def test_a_full_disk_leaves_the_old_file(
    folder: Path, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(folder, ada).start("ada")
    _set(folder, ada, A="value")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PhoenixError, match="No space left"):
        _set(folder, ada, A="new")
    assert Secrets(folder, ada).lookup("A") == "value"
    assert _names(folder) == [age_file.FILE, recipients.FILE]
