"""Only the real error is told, not what follows from it, and hints show what may stand there."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.model.problem import Problem

LXC = "phoenix_lxc_configs.json"
HUB = {"repo": "Qwen/Qwen2.5-3B-Instruct-GGUF", "file": "m.gguf"}


def told(folder: Path, **words: Any) -> list[Problem]:
    one: dict[str, Any] = {"name": "one", "template": "debian-13-standard", **words}
    (folder / LXC).write_text(json.dumps({"lxc_configs": {"101": one}}, indent=1))
    return [p for p in load(folder, app.vocabulary(), on="sim").problems if p.severity == "error"]


def of_feature(folder: Path, feature: str, options: dict[str, Any]) -> list[Problem]:
    return told(folder, features=[feature], **{feature: options})


FOLLOWED: list[tuple[str, dict[str, Any], str]] = [
    ("llamacpp", {"model": "Qwen/Qwen2.5"}, "/model"),
    ("llamacpp", {"model": {"url": "https://x.example/a.gguf"}}, "/model"),
    ("llamacpp", {"model": {"hub": HUB | {"file": "m.safetensors"}}}, "/model/hub/file"),
    ("llamacpp", {"model": {"hub": {"repo": "a/b"}}}, "/model/hub"),
    (
        "llamacpp",
        {"model": {"url": "https://x.example/a.gguf", "checksum": "abc"}},
        "/model/checksum",
    ),
    ("llamacpp", {"modell": {"hub": HUB}}, "/modell"),
    ("llamacpp", {"model": {"hub": HUB}, "program": {"wheel": "x"}}, "/program/wheel"),
    ("llamacpp", {"servers": [{"model": "x"}]}, "/servers/0/model"),
    ("vllm", {"model": 5, "port": 8001}, "/model"),
    ("ollama", {"version": 1, "checksum": f"sha256:{'a' * 64}"}, "/version"),
]


@pytest.mark.parametrize(("feature", "options", "place"), FOLLOWED)
def test_only_the_real_error_is_told(
    feature: str, options: dict[str, Any], place: str, tmp_path: Path
) -> None:
    assert [p.pointer for p in of_feature(tmp_path, feature, options)] == [
        f"/lxc_configs/101/{feature}{place}"
    ]


@pytest.mark.parametrize(
    ("route", "place"),
    [
        ({"port": 80, "auth": {"api_keys": {"ada": {"secret": "K"}}}}, "/auth/api_keys"),
        ({"port": 80, "auth": {"bearer": {"token": 5}}}, "/auth/bearer/token"),
        ({"llm": {"models": ["a"]}, "port": "x"}, "/port"),
        ({"port": 80, "auth": "x", "rate_limit": {"requests": 1, "by": "key"}}, "/auth"),
    ],
)
def test_only_the_real_error_of_a_route(route: dict[str, Any], place: str, tmp_path: Path) -> None:
    found = [p.pointer for p in told(tmp_path, routes=[route])]
    assert found == [f"/lxc_configs/101/routes/0{place}"]


REAL: list[tuple[dict[str, Any], str]] = [
    ({"model": {}}, "give exactly one of"),
    ({"model": {"hub": HUB, "path": "/m.gguf", "checksum": "abc"}}, "give exactly one of"),
    ({"context": 4096}, "give either model"),
]


@pytest.mark.parametrize(("options", "message"), REAL)
def test_what_is_missing_or_too_much_by_itself_is_told(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert [p for p in of_feature(tmp_path, "llamacpp", options) if message in p.message]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"routes": [{"port": 80, "rate_limit": "60/minute"}]}, 'such as {"requests": 60, "per"'),
        (
            {"features": ["vllm"], "vllm": {"model": "a/b", "gpu_memory_utilization": "70 %"}},
            "such as 0.7",
        ),
        (
            {"features": ["vllm"], "vllm": {"model": "a/b", "gpu_memory_utilization": 70}},
            "it is a share of 1: write 0.7 for 70 %",
        ),
        (
            {"features": ["vllm"], "vllm": {"model": "a/b", "gpu_memory_utilization": 1.2}},
            "write 1 or less",
        ),
        ({"features": ["llamacpp"], "llamacpp": {"model": "x"}}, 'such as {"hub": {"repo": '),
        ({"storage_pool": "p"}, "at least two of letters"),
    ],
)
def test_hints_show_what_may_stand_there(words: dict[str, Any], hint: str, tmp_path: Path) -> None:
    (problem,) = told(tmp_path, **words)
    assert problem.hint.startswith(hint)
