import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.config.secrets import FILE, Secrets
from phoenix_hypervisor.model.errors import SecretMissing, UsageError
from phoenix_hypervisor.model.secret import Secret


def _write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / FILE
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_goes_before_the_file(tmp_path):
    _write(tmp_path, "A=file\nB=file\n")
    secrets = Secrets(tmp_path, {"A": "environment", "B": ""})
    assert secrets.lookup("A") == "environment"
    assert secrets.lookup("B") == "file"


def test_lines_of_the_file(tmp_path):
    _write(tmp_path, "# a remark\n\nA = one two \nexport B='it''s # $x'\nC=\"q\\\"\\\\\\n\"\nD=\n")
    secrets = Secrets(tmp_path, {})
    assert secrets.lookup("A") == "one two"
    assert secrets.lookup("B") == "it''s # $x"
    assert secrets.lookup("C") == 'q"\\\n'
    assert not secrets.has("D")
    assert secrets.sources("D") == []
    with pytest.raises(SecretMissing, match="D has no value"):
        secrets.lookup("D")


def test_a_missing_secret_says_how_to_set_it(tmp_path):
    with pytest.raises(SecretMissing) as error:
        Secrets(tmp_path, {}).lookup("DB_PASSWORD")
    assert "DB_PASSWORD" in error.value.message
    assert FILE in error.value.hint
    assert "environment" in error.value.hint


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    path = _write(tmp_path, "A=1\n", mode)
    with pytest.raises(SecretMissing) as error:
        Secrets(tmp_path, {}).lookup("A")
    assert error.value.hint == f"chmod 600 {path}"
    with pytest.raises(SecretMissing):
        Secrets(tmp_path, {}).add("B", "2")
    assert path.read_text() == "A=1\n"


@pytest.mark.parametrize("line", ["just text", "=value", "a b=1", 'A="open', "1A=2"])
def test_a_bad_line_is_told_without_its_value(tmp_path, line):
    _write(tmp_path, f"OK=1\n{line}\n")
    with pytest.raises(SecretMissing, match="line 2") as error:
        Secrets(tmp_path, {}).lookup("OK")
    assert line not in str(error.value)


def test_adding_makes_and_extends_the_file(tmp_path):
    secrets = Secrets(tmp_path, {})
    secrets.add("A", "one")
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("# mine\n\n\n" + path.read_text() + "\n# end\n")
    secrets.add("B", 'two "quoted"\nlines \\')
    secrets.add("A", "new")
    assert secrets.lookup("A") == "new"
    assert secrets.lookup("B") == 'two "quoted"\nlines \\'
    assert path.read_text().startswith("# mine\n\n\n\n# end\nB=")
    assert path.read_text().count("A=") == 1
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    with pytest.raises(UsageError, match="can't be a secret's name"):
        secrets.add("A B", "x")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_comes_back_as_it_was(tmp_path, value):
    Secrets(tmp_path, {}).add("ANY", value)
    Secrets(tmp_path, {}).add("OTHER", "x")
    assert Secrets(tmp_path, {}).lookup("ANY") == value


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    def add(number: int) -> None:
        Secrets(tmp_path, {}).add(f"S{number}", str(number))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    secrets = Secrets(tmp_path, {})
    assert [secrets.lookup(f"S{n}") for n in range(16)] == [str(n) for n in range(16)]


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    left = tmp_path / f"{FILE}.4711.new"
    left.write_text("A=plain\n")
    mine = tmp_path / f"{FILE}.old"
    mine.write_text("A=kept\n")
    Secrets(tmp_path, {}).add("A", "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, mine.name]


def test_an_empty_line_hides_no_value_behind_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Secrets, "sealed", lambda _: {"A": "sealed"})
    _write(tmp_path, "A=\n")
    assert Secrets(tmp_path, {}).lookup("A") == "sealed"


def test_digests_tell_equal_from_different_and_hide_the_value(tmp_path):
    one = Secrets(tmp_path, {"A": "weak", "B": "weak"})
    again = Secrets(tmp_path, {"A": "weak"})
    other = Secrets(tmp_path, {"A": "weaker"})
    a = Secret(name="A")
    assert one.digest(a) == one.digest(a) == again.digest(a)
    assert one.digest(a) != other.digest(a)
    assert one.digest(a) != one.digest(Secret(name="B"))
    assert one.digest(Secret(literal="x")) != one.digest(Secret(literal="y"))
    assert len(one.digest(a)) == 32
    assert "weak" not in one.digest(a)
