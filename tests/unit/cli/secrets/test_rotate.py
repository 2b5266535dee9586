"""`phoenix secrets rotate NAME`: only what the stack itself sets gets a random value."""

import json
from pathlib import Path

import pytest
from tests.support.secretcli import VALUE, Phoenix


def test_what_has_no_random_value(ready: Phoenix) -> None:
    ready("secrets", "set", "PVE_TOKEN", stdin=VALUE.encode())
    said = ready("secrets", "rotate", "PVE_TOKEN")
    assert (said.status, "made elsewhere" in said.err) == (64, True)
    assert ready("secrets", "show", "PVE_TOKEN", "--reveal").out.strip() == VALUE
    assert ready("secrets", "rotate", "NONE").status == 1
    from_outside = ready("secrets", "rotate", "REDIS", REDIS="x" * 12)
    assert (from_outside.status, "environment" in from_outside.err) == (64, True)


def _value(phoenix: Phoenix, name: str) -> str:
    return phoenix("secrets", "show", name, "--reveal").out.strip()


def _words(folder: Path, ident: str, **words: object) -> None:
    path = folder / "phoenix_lxc_configs.json"
    document = json.loads(path.read_text())
    document["lxc_configs"][ident].update(words)
    path.write_text(json.dumps(document, indent=1))


NAMED = {"secret": "NAMED"}


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"application_script_env": {"HF_TOKEN": NAMED}},
        {"python_api_service": {"git": {"token": NAMED}}},
        {"python_api_service": {"environment": {"KEY": NAMED}}},
        {"routes": [{"host": "a.example", "auth": {"bearer": {"token": NAMED}}}]},
        {"health_check": [{"http": {"headers": {"Authorization": NAMED}}}]},
        {"redis": {"password": NAMED}, "routes": [{"auth": {"bearer": {"token": NAMED}}}]},
    ],
)
def test_what_others_give_out_is_refused(
    ready: Phoenix, folder: Path, words: dict[str, object]
) -> None:
    ready("secrets", "set", "NAMED", stdin=VALUE.encode())
    _words(folder, "111", **words)
    said = ready("secrets", "rotate", "NAMED")
    assert (said.status, "phoenix secrets set NAMED" in said.err) == (64, True), said.err
    assert _value(ready, "NAMED") == VALUE


@pytest.mark.parametrize(
    "words",
    [
        {"redis": {"password": NAMED}},
        {"postgresql": {"roles": [{"name": "x"}, {"name": "app", "password": NAMED}]}},
        {"routes": [{"auth": {"basic": {"username": "ada", "password": NAMED}}}]},
        {"redis": {"password": NAMED}, "application_script_env": {"REDIS": NAMED}},
    ],
)
def test_what_the_stack_sets_gets_a_new_value(
    ready: Phoenix, folder: Path, words: dict[str, object]
) -> None:
    ready("secrets", "set", "NAMED", stdin=VALUE.encode())
    _words(folder, "111", **words)
    assert ready("secrets", "rotate", "NAMED").status == 0
    assert _value(ready, "NAMED") != VALUE


def test_a_key_of_several_lines_is_refused(ready: Phoenix) -> None:
    ready("secrets", "set", "REDIS", stdin=b"-----BEGIN KEY-----\nabc\n-----END KEY-----\n")
    said = ready("secrets", "rotate", "REDIS")
    assert (said.status, "several lines" in said.err) == (64, True)


@pytest.mark.parametrize("content", ["{", '{"hypervisor": {"a": <<<}}'])
def test_a_file_that_cannot_be_read_may_name_it_too(
    ready: Phoenix, folder: Path, content: str
) -> None:
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    (folder / "phoenix_hypervisor_config.json").write_text(content)
    said = ready("secrets", "rotate", "REDIS")
    assert said.status == 64
    assert "phoenix_hypervisor_config.json can't be read" in said.err
    assert _value(ready, "REDIS") == VALUE


def test_each_file_is_rotated_by_itself(ready: Phoenix, folder: Path) -> None:
    local = "local-" + VALUE
    ready("secrets", "set", "REDIS", stdin=VALUE.encode())
    ready("secrets", "set", "REDIS", "--local", stdin=local.encode())
    first = ready("secrets", "rotate", "REDIS")
    assert "wrote REDIS into secrets.json.age" in first.out
    assert "the one in .phoenix-secrets.env goes before it" in first.err
    assert _value(ready, "REDIS") == local
    second = ready("--json", "secrets", "rotate", "REDIS", "--local")
    assert (second.json["local"], second.err) == (True, "")
    assert _value(ready, "REDIS") not in {local, VALUE}
    ready("secrets", "unset", "REDIS", "--local")
    assert _value(ready, "REDIS") != VALUE
    elsewhere = ready("secrets", "rotate", "REDIS", "--local")
    assert (elsewhere.status, "leave --local out" in elsewhere.err) == (1, True)
    assert ready("secrets", "rotate", "--local").status == 64


@pytest.mark.parametrize("local", [[], ["--local"]])
def test_all_are_rotated_or_none(ready: Phoenix, folder: Path, local: list[str]) -> None:
    _words(folder, "111", redis={"password": {"secret": "SECOND"}})
    for name in ("REDIS", "SECOND", "PVE_TOKEN"):
        ready("secrets", "set", name, *local, stdin=VALUE.encode())
    assert ready("secrets", "rotate", "REDIS", "SECOND", "PVE_TOKEN", *local).status == 64
    assert _value(ready, "REDIS") == VALUE
    file = folder / (".phoenix-secrets.env" if local else "secrets.json.age")
    before = file.stat().st_ino
    assert ready("secrets", "rotate", "REDIS", "SECOND", *local).status == 0
    assert file.stat().st_ino != before
    assert len({VALUE, _value(ready, "REDIS"), _value(ready, "SECOND")}) == 3
