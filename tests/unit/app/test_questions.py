"""Warnings of `llm` checks that ask at a route: its limit, its keys, its models."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.model.problem import Problem

LXC = "phoenix_lxc_configs.json"
ENVIRON = {name: f"{name.lower()}-123456" for name in ("ADAS_KEY", "BOBS_KEY")}
KEY = {"secret": "ADAS_KEY"}


def told(folder: Path, check: dict[str, Any], **route: Any) -> list[Problem]:
    """With a proxy 703 before a server 702, and the check at the guest `on`."""
    found: dict[str, Any] = {}
    for guest_id, name in (("702", "lc"), ("703", "web")):
        net = {"ip": f"10.97.60.{guest_id[2]}/24", "gw": "10.97.60.1"}
        found[guest_id] = {"name": name, "template": "debian-13-standard", "network_config": net}
    gguf = {"model": {"path": "/srv/a.gguf"}, "alias": "q3"}
    found["702"] |= {"features": ["llamacpp"], "llamacpp": gguf, "memory_mb": 8192}
    whole = {"llm": {"guests": ["702"]}, "auth": {"keys": {"ada": KEY}}} | route
    on = check.pop("on", "703")
    found["703"] |= {"features": ["nginx"], "routes": [whole]}
    found[on]["checks"] = [{"tcp": {"port": 22}}, {"llm": check}]
    (folder / LXC).write_text(json.dumps({"lxc_configs": found}, indent=1))
    return list(app.judge(folder, "sim", ENVIRON).problems)


SLOW = {"rate_limit": {"requests": 6, "per": "minute"}}


@pytest.mark.parametrize(
    ("check", "route", "asked"),
    [
        ({}, SLOW, 12),  # one more, to learn which models there are
        ({"model": "q3"}, SLOW, 11),
        ({"model": "q3", "concurrency": [2, 3], "samples": 4, "warm_up": False}, SLOW, 20),
        ({"model": "q3"}, {"rate_limit": {"requests": 99, "per": "second", "burst": 10}}, 11),
        ({"model": "q3", "on": "702", "address": "10.97.60.3"}, SLOW, 11),
        ({"model": "q3", "from": "inside", "address": "127.0.0.1"}, SLOW, 11),
        ({"model": "q3", "host": "LLM.example"}, SLOW | {"host": "llm.example"}, 11),
    ],
)
def test_more_questions_than_the_burst(
    check: dict[str, Any], route: dict[str, Any], asked: int, tmp_path: Path
) -> None:
    on = check.get("on", "703")
    (problem,) = told(tmp_path, {"api_key": KEY} | check, **route)
    assert problem.severity == "warning"
    assert problem.pointer == f"/lxc_configs/{on}/checks/1/llm"
    assert f"asks {asked} questions" in problem.message
    assert f'"burst" to {asked}' in problem.hint


@pytest.mark.parametrize(
    ("check", "route"),
    [
        ({"model": "q3"}, {}),
        ({"model": "q3"}, {"rate_limit": {"requests": 11, "per": "minute"}}),
        ({"model": "q3", "concurrency": [1], "samples": 1}, SLOW),
        ({"model": "q3", "port": 81}, SLOW),
        ({"model": "q3", "path": "/v2"}, SLOW),
        ({"model": "q3"}, SLOW | {"host": "llm.example"}),
        ({"model": "q3", "address": "192.0.2.1"}, SLOW),
    ],
)
def test_enough_or_somewhere_else(
    check: dict[str, Any], route: dict[str, Any], tmp_path: Path
) -> None:
    assert told(tmp_path, {"api_key": KEY} | check, **route) == []


def test_a_check_without_a_key(tmp_path: Path) -> None:
    (problem,) = told(tmp_path, {"model": "q3"})
    assert "/v1 of web asks for a key" in problem.message
    assert problem.severity == "warning"
    assert told(tmp_path, {"model": "q3"}, auth=None) == []


def test_a_model_that_nobody_has(tmp_path: Path) -> None:
    (problem,) = told(tmp_path, {"model": "gpt-4", "api_key": KEY})
    assert (problem.pointer, problem.hint) == (
        "/lxc_configs/703/checks/1/llm/model",
        "models there are: q3",
    )


def test_one_secret_for_two_keys(tmp_path: Path) -> None:
    two = {"keys": {"ada": KEY, "bob": KEY}}
    (problem,) = told(tmp_path, {"model": "q3", "api_key": KEY}, auth=two)
    assert problem.pointer == "/lxc_configs/703/routes/0/auth/keys/bob"
    assert problem.message.startswith("the keys `ada` and `bob` are the same secret")
    apart = {"keys": {"ada": KEY, "bob": {"secret": "BOBS_KEY"}}}
    assert told(tmp_path, {"model": "q3", "api_key": KEY}, auth=apart) == []


def test_routes_without_a_proxy(tmp_path: Path) -> None:
    told(tmp_path, {"model": "q3", "api_key": KEY})
    text = (tmp_path / LXC).read_text()
    (tmp_path / LXC).write_text(text.replace('"nginx"', '"base_setup"'))
    (problem,) = app.judge(tmp_path, "sim", ENVIRON).problems
    assert (problem.severity, problem.pointer) == ("warning", "/lxc_configs/703/routes/0")
    assert "nobody publishes the routes" in problem.message
    (tmp_path / LXC).write_text(text.replace('"nginx"', '"ngix"'))
    (problem,) = app.judge(tmp_path, "sim", ENVIRON).problems
    assert "there is no feature `ngix`" in problem.message
